/* The program of compare.html: numbers and charts of several runs, from the JSON in the page.
 *
 * Nothing from the runs is ever parsed as markup: every text becomes a text node. Colours of runs are
 * attributes of SVG, since the page's policy forbids styles on elements.
 *
 * SPDX-License-Identifier: Apache-2.0 */
'use strict';
(() => {

/* ---- helpers ---------------------------------------------------------------------------- */

const $ = (id) => document.getElementById(id);

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}
const el = (tag, attributes = {}, ...children) => build(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) =>
  build(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);

const {runs, columns, settings, concepts} = JSON.parse($('data').textContent);
const isNumber = (x) => typeof x === 'number' && Number.isFinite(x);
const count = (n) => Math.round(n).toLocaleString('en-US');
const short = (x) => (x >= 1e6 ? `${+(x / 1e6).toPrecision(3)}M` : x >= 1e4 ? `${+(x / 1e3).toPrecision(3)}k` :
  x !== 0 && Math.abs(x) < 1e-3 ? x.toExponential(0) : String(+x.toPrecision(3))).replace('-', '\u2212');
const described = (text) => text.split('`').map((part, i) => i % 2 ? el('code', {}, part) : part);
const column = (label) => columns.findIndex((c) => c.label === label);
const numberOf = (run, label) => run.numbers[column(label)].value;
const dot = (run) => svg('svg', {class: 'dot', viewBox: '0 0 10 10', 'aria-hidden': 'true'},
  svg('circle', {cx: 5, cy: 5, r: 4.2, fill: run.color}));
const panel = (title, ...children) => el('section', {class: 'panel'}, el('h2', {}, title), children);

/* A page of a run, opened at a place; plain text where there is none. */
function linkTo(run, place, ...children) {
  if (!run.report) return el('span', {}, children);
  return el('a', {href: run.report.split('/').map(encodeURIComponent).join('/') + place}, children);
}

function showTip(text, x, y) {
  const tip = $('tip');
  tip.textContent = text;
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(x + 12, innerWidth - box.width - 4))}px`;
  tip.style.top = `${y + 18 + box.height > innerHeight ? y - box.height - 8 : y + 16}px`;
}
document.addEventListener('pointermove', (event) => {
  const marked = event.target.closest?.('[data-tip]');
  if (marked) showTip(marked.getAttribute('data-tip'), event.clientX, event.clientY);
  else $('tip').hidden = true;
});

/* ---- axes ------------------------------------------------------------------------------- */

function ticks(low, high, isLog, n = 5) {
  if (isLog) {
    const first = Math.floor(Math.log10(low)), decades = Math.log10(high / low);
    const times = decades > 2.5 ? [1] : decades > 0.7 ? [1, 2, 5] : [1, 2, 3, 4, 5, 6, 7, 8, 9];
    return Array.from({length: Math.ceil(decades) + 2}, (_, i) => times.map((k) => k * 10 ** (first + i))).flat()
      .filter((v) => v >= low * 0.999 && v <= high * 1.001);
  }
  const rough = (high - low) / n, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((k) => k * power >= rough), first = Math.ceil(low / step - 1e-9);
  return Array.from({length: Math.floor(high / step + 1e-9) - first + 1}, (_, i) => (first + i) * step);
}

/* A frame of W x H with functions from data to points, and its grid. */
function frame({W, H, x, y, xLabel, L = 46, R = 12, T = 8, B = 30}) {
  const f = (log) => (log ? Math.log10 : (v) => v);
  const place = ({low, high, log}, from, to) => (v) => from + (to - from) * (f(log)(v) - f(log)(low)) / (f(log)(high) - f(log)(low));
  const px = place(x, L, W - R), py = place(y, H - B, T);
  const grid = [
    ticks(y.low, y.high, y.log).map((v) => [
      svg('line', {class: 'axis grid', x1: L, x2: W - R, y1: py(v), y2: py(v)}),
      svg('text', {x: L - 6, y: py(v) + 4, 'text-anchor': 'end'}, y.text ? y.text(v) : short(v))]),
    ticks(x.low, x.high, x.log).map((v) => [
      svg('line', {class: 'axis', x1: px(v), x2: px(v), y1: H - B, y2: H - B + 3}),
      svg('text', {x: px(v), y: H - B + 14, 'text-anchor': 'middle'}, short(v))]),
    svg('line', {class: 'axis', x1: L, x2: W - R, y1: H - B, y2: H - B}),
    svg('text', {x: (L + W - R) / 2, y: H - 2, 'text-anchor': 'middle'}, xLabel)];
  return {px, py, grid};
}

/* ---- fidelity against sparsity ---------------------------------------------------------- */

function fidelity(label) {
  const points = runs.map((run) => ({run, x: numberOf(run, 'L0'), y: numberOf(run, label)}))
    .filter((p) => isNumber(p.x) && p.x > 0 && isNumber(p.y)).sort((a, b) => a.x - b.x || b.y - a.y);
  if (points.length === 0) return null;
  const ys = points.map((p) => p.y), low = Math.min(...ys), high = Math.max(...ys), room = (high - low) * 0.15 + 0.002;
  const W = 520, H = 300;
  const {px, py, grid} = frame({W, H, xLabel: 'features per token (L0)',
    x: {low: points[0].x / 1.6, high: points.at(-1).x * 1.6, log: true},
    y: {low: low - room, high: high <= 1 ? Math.min(Math.max(high + room, high), 1 + room / 3) : high + room,
        text: (v) => `${+(100 * v).toFixed(1)}\u00a0%`}});
  let best = -Infinity;
  const front = points.filter((p) => { const isBest = p.y > best; best = Math.max(best, p.y); return isBest; });
  return panel(label[0].toUpperCase() + label.slice(1),
    svg('svg', {viewBox: `0 0 ${W} ${H}`, role: 'img',
                'aria-label': `${label} by L0: ${points.map((p) => `${p.run.name} ${short(p.x)}, ${(100 * p.y).toFixed(1)} %`).join('; ')}`},
      grid,
      svg('polyline', {class: 'front', points: front.map((p) => `${px(p.x).toFixed(1)},${py(p.y).toFixed(1)}`).join(' ')}),
      points.map((p) => {
        const isLeft = px(p.x) > W * 0.7;
        return [svg('circle', {class: 'point', cx: px(p.x).toFixed(1), cy: py(p.y).toFixed(1), r: 6, fill: p.run.color,
                               'data-tip': `${p.run.name}\nL0 ${short(p.x)}\n${label} ${(100 * p.y).toFixed(2)} %`}),
                svg('text', {class: 'name', x: px(p.x) + (isLeft ? -10 : 10), y: py(p.y) + 4, 'text-anchor': isLeft ? 'end' : 'start'}, p.run.name)];
      })));
}

/* ---- numbers ---------------------------------------------------------------------------- */

function numbersTable() {
  return el('div', {class: 'scroll'}, el('table', {},
    el('thead', {}, el('tr', {}, el('th', {scope: 'col'}, 'Run'), el('th', {scope: 'col'}, 'Architecture'),
      columns.map((c) => el('th', {scope: 'col', class: 'n'}, c.label)))),
    el('tbody', {}, runs.map((run) => el('tr', {},
      el('th', {scope: 'row'}, dot(run), linkTo(run, '', el('bdi', {}, run.name))),
      el('td', {}, el('bdi', {}, run.arch)),
      run.numbers.map((n) => el('td', {class: n.best ? 'number best' : 'number'}, n.text)))))));
}

function settingsTable() {
  if (settings.length === 0) return el('p', {class: 'hint'}, 'No setting is known to differ.');
  return el('div', {class: 'scroll'}, el('table', {class: 'narrow'},
    el('thead', {}, el('tr', {}, el('th', {scope: 'col'}, 'Setting'), runs.map((run) => el('th', {scope: 'col'}, dot(run), el('bdi', {}, run.name))))),
    el('tbody', {}, settings.map(({name, values}) => el('tr', {}, el('th', {scope: 'row'}, name),
      values.map((value) => el('td', {}, el('bdi', {}, value))))))));
}

/* ---- curves ----------------------------------------------------------------------------- */

function curves(title, key, log) {
  const drawn = runs.filter((run) => run.curves && run.curves[key].some((v) => isNumber(v) && (!log || v > 0)));
  if (drawn.length === 0) return null;
  const all = drawn.flatMap((run) => run.curves[key]).filter((v) => isNumber(v) && (!log || v > 0));
  const low = log ? Math.min(...all) * 0.9 : 0, high = Math.max(...all) * (log ? 1.1 : 1) || 1, W = 520, H = 220;
  const end = Math.max(...drawn.map((run) => run.curves.step.at(-1)));
  const {px, py, grid} = frame({W, H, xLabel: 'step', x: {low: 0, high: end || 1}, y: {low, high: high > low ? high : low + 1, log}});
  return panel([title, log ? el('small', {}, ' \u00b7 log') : ''],
    svg('svg', {viewBox: `0 0 ${W} ${H}`, role: 'img', 'aria-label': `${title} of each run by step`}, grid,
      drawn.map((run) => svg('polyline', {class: 'curve', stroke: run.color, 'data-tip': run.name,
        points: run.curves[key].map((v, i) => (isNumber(v) && (!log || v > 0) ? `${px(run.curves.step[i]).toFixed(1)},${py(v).toFixed(1)}` : null))
          .filter(Boolean).join(' ')}))));
}

/* ---- frequencies ------------------------------------------------------------------------ */

/* Bins of a fifth of a decade from 10^-6 on; those below the first that any run fills are left out. */
function frequencies() {
  const first = Math.max(0, Math.min(...runs.map((run) => { const i = run.frequencies.findIndex((n) => n > 0); return i < 0 ? 25 : i; })));
  const start = 5 * Math.floor(first / 5), edge = (i) => 10 ** (i / 5 - 6), share = (x) => `${short(100 * x)}\u00a0%`;
  return runs.map((run) => {
    const bins = run.frequencies.slice(start), most = Math.max(1, ...bins), W = 520, H = 180;
    const {px, py, grid} = frame({W, H, xLabel: 'share of tokens on which a feature fires',
      x: {low: edge(start), high: 1, log: true}, y: {low: 0, high: most}});
    return panel([dot(run), el('bdi', {}, run.name), el('small', {}, ` \u00b7 ${count(run.live)} live of ${count(run.features)}`)],
      svg('svg', {viewBox: `0 0 ${W} ${H}`, role: 'img', 'aria-label': `Features of ${run.name} by the share of tokens they fire on`}, grid,
        bins.map((n, i) => {
          const a = px(edge(start + i)), b = px(edge(start + i + 1));
          return n === 0 ? null : svg('rect', {x: (a + 0.5).toFixed(1), width: (b - a - 1).toFixed(1), y: py(n).toFixed(1),
            height: (py(0) - py(n)).toFixed(1), fill: run.color,
            'data-tip': `${share(edge(start + i))} to ${share(edge(start + i + 1))} of tokens: ${count(n)} features`});
        })));
  });
}

/* ---- concepts --------------------------------------------------------------------------- */

function conceptsTable() {
  return el('div', {class: 'scroll'}, el('table', {},
    el('thead', {}, el('tr', {}, el('th', {scope: 'col'}, 'Concept'), runs.map((run) => el('th', {scope: 'col'}, dot(run), el('bdi', {}, run.name))))),
    el('tbody', {}, concepts.map(({name, rule, best, winner}) => el('tr', {},
      el('th', {scope: 'row'}, el('bdi', {}, name), el('small', {dir: 'auto'}, described(rule))),
      best.map((b, i) => (b === null ? el('td', {}, '\u2013') : el('td', {class: winner === i ? 'best' : ''},
        el('span', {class: 'f1'}, b.f1.toFixed(2)), linkTo(runs[i], `#feature/${b.feature}`, `#${b.feature}`),
        svg('svg', {class: 'meter', viewBox: '0 0 100 4', preserveAspectRatio: 'none', 'aria-hidden': 'true'},
          svg('rect', {class: 'track', width: 100, height: 4}), svg('rect', {width: 100 * b.f1, height: 4, fill: runs[i].color})),
        el('small', {dir: 'auto'}, described(b.description))))))))));
}

/* ---- theme and start -------------------------------------------------------------------- */

const THEMES = {auto: '\u25d0', light: '\u2600', dark: '\u263e'}, systemDark = matchMedia('(prefers-color-scheme: dark)');
const remember = {
  get() { try { return localStorage.getItem('facet-theme'); } catch { return null; } },
  set(theme) { try { localStorage.setItem('facet-theme', theme); } catch { /* for this visit only */ } },
};
let theme = Object.hasOwn(THEMES, remember.get() ?? '') ? remember.get() : 'auto';
function applyTheme() {
  document.documentElement.dataset.theme = theme === 'dark' || (theme === 'auto' && systemDark.matches) ? 'dark' : 'light';
  $('theme').textContent = THEMES[theme];
  $('theme').setAttribute('aria-label', `Theme: ${theme}`);
}
$('theme').addEventListener('click', () => {
  const names = Object.keys(THEMES);
  theme = names[(names.indexOf(theme) + 1) % names.length];
  remember.set(theme);
  applyTheme();
});
systemDark.addEventListener('change', applyTheme);
applyTheme();

const isOneSite = runs.every((run) => run.hook === runs[0].hook && run.model === runs[0].model);
const where = isOneSite ? [' on the output of ', el('bdi', {}, runs[0].hook || 'an unnamed hook'), ' in ', el('bdi', {}, runs[0].model || 'an unnamed model')] : [' of different sites'];
const hasCurves = runs.some((run) => run.curves);
$('runs').append(...runs.map((run, i) => (i > 0 ? [' \u00b7 ', run.name] : [run.name])).flat());
$('page').append(
  el('h1', {}, `${runs.length} runs compared`),
  el('p', {class: 'sub'}, 'Sparse autoencoders', where, '. Up and to the left is better: more is kept with fewer features. The grey line joins the runs that none beats in both.'),
  el('div', {class: 'charts block'}, fidelity('explained variance'), fidelity('loss recovered')),
  el('section', {class: 'block'}, el('h2', {}, 'Numbers'), numbersTable(),
    el('p', {class: 'hint'}, 'Bold: the best of a column. Concept F1: of the best feature for each concept, the mean over those that all runs looked for.')),
  el('section', {class: 'block'}, el('h2', {}, 'Settings that differ'), settingsTable()));
if (hasCurves)
  $('page').append(el('section', {class: 'block'}, el('h2', {}, 'Training'),
    el('p', {class: 'legend'}, runs.map((run) => el('span', {}, dot(run), el('bdi', {}, run.name)))),
    el('div', {class: 'charts'}, curves('Total loss', 'total', true), curves('Mean squared error', 'mse', true),
      curves('Features per token (L0)', 'l0', true), curves('Dead features', 'dead', false))));
$('page').append(el('section', {class: 'block'}, el('h2', {}, 'How often features fire'), el('div', {class: 'charts'}, frequencies())));
if (concepts.length > 0)
  $('page').append(el('section', {class: 'block'}, el('h2', {}, 'The best feature for each concept'),
    el('p', {class: 'sub'}, 'Rules about tokens; F1 of the feature that tells best whether the rule holds.'), conceptsTable()));
window.facet = {ready: true};
})();

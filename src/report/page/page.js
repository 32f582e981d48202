/* The program of report.html. In order:
 *
 *   helpers      elements, numbers as text
 *   place        the address as state: #feature/1177?q=may&sort=density
 *   list         the features, filtered and sorted, drawn where one looks
 *   card         one feature
 *   charts       curves, bars, the map
 *   overview, concepts
 *   input        keys, tips, theme; the start
 *
 * Nothing from the run is ever parsed as markup: every text becomes a text node. All of it comes
 * from the three methods of facet.data (data.js), which a server could answer as well.
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

/* el('a', {class: 'brand', href: '#'}, 'text', node, [nodes]) */
const el = (tag, attributes = {}, ...children) =>
  build(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) =>
  build(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);

const MINUS = '\u2212', DASH = '\u2013', SPACE = '\u2581';
const isNumber = (x) => typeof x === 'number' && Number.isFinite(x);
const count = (n) => Math.round(n).toLocaleString('en-US');
const plural = (n, one, many = one + 's') => `${count(n)} ${n === 1 ? one : many}`;
const signed = (x, digits) => (x < 0 ? MINUS : '+') + Math.abs(x).toFixed(digits);

/* Three significant digits. */
function value(x) {
  if (!isNumber(x)) return DASH;
  const size = Math.abs(x);
  if (size >= 1e6 || (size > 0 && size < 1e-3)) {
    const [digits, power] = x.toExponential(1).split('e');
    return `${digits}e${Number(power)}`.replace('-', MINUS);
  }
  return size >= 1000 ? count(x) : String(Number(x.toPrecision(3))).replace('-', MINUS);
}

/* With the decimals that a number of the size of `scale` shows. */
function valueLike(x, scale) {
  if (!(scale > 0) || scale < 1e-3 || scale >= 1e6) return value(x);
  return x.toFixed(Math.max(0, 2 - Math.floor(Math.log10(scale))));
}

function percent(share) {
  if (!isNumber(share)) return DASH;
  const p = 100 * share;
  return `${p === 0 ? 0 : p < 0.01 ? p.toPrecision(1) : p < 10 ? Number(p.toPrecision(2)) : p.toFixed(p < 99.95 ? 1 : 0)}\u00a0%`;
}

/* A token in a list: its leading spaces as faint signs. */
function tokenLabel(text, attributes = {}) {
  const n = text.length - text.trimStart().length;
  return el('span', {dir: 'auto', ...attributes},
            n > 0 ? el('span', {class: 'space'}, SPACE.repeat(n)) : null, text.slice(n));
}

/* A description: tokens stand in backquotes. */
const described = (text) => text.split('`').map((part, i) => i % 2 ? el('code', {}, part) : part);

/* A few tokens in a line; one of spaces alone shows as their sign. */
const tokenLine = (tokens, n) => tokens.slice(0, n).map((text) => text.trim() || SPACE).join(' \u00b7 ');

/* What a feature fires on, as plain text of one line. */
const labelOf = (table, id) => table.description[id].replaceAll('`', '') || tokenLine(table.tokens[id], 4) || DASH;

/* The text with what was searched for marked. */
function marked(text, needle) {
  const at = needle ? text.toLowerCase().indexOf(needle) : -1;
  if (at < 0) return [text];
  return [text.slice(0, at), el('mark', {}, text.slice(at, at + needle.length)), text.slice(at + needle.length)];
}

/* ---- place ------------------------------------------------------------------------------ */

const {data, timing} = facet; // data.js
const state = {shown: [], active: -1, quantile: 0, cardId: null}; // ids in the list; which is chosen

const VIEWS = ['overview', 'features', 'concepts'];
const DEFAULTS = {q: '', in: 'all', sort: '-max', show: 'live', from: '0', to: '1'};
let place = {view: 'overview', id: null, ...DEFAULTS};

function parsePlace(hash) {
  const [path, query = ''] = hash.replace(/^#/, '').split(/\?(.*)/s);
  const [view, id] = path.split('/');
  const asked = new URLSearchParams(query), result = {view: view || 'overview', id: null};
  for (const name of Object.keys(DEFAULTS)) result[name] = asked.get(name) ?? DEFAULTS[name];
  if (view === 'feature') Object.assign(result, {view: 'features', id: /^\d+$/.test(id) ? Number(id) : NaN});
  return result;
}

function hashOf(p) {
  const query = new URLSearchParams();
  for (const name of Object.keys(DEFAULTS)) if (p[name] !== DEFAULTS[name]) query.set(name, p[name]);
  const text = query.toString();
  return `#${p.id === null ? p.view : `feature/${p.id}`}${text ? `?${text}` : ''}`;
}

const featureLink = (id) => hashOf({...place, view: 'features', id});

function go(change, isReplaced = false) {
  const hash = hashOf({...place, ...change});
  if (isReplaced) location.replace(hash);
  else location.hash = hash;
}

async function show() {
  const before = place, run = await data.run();
  place = parsePlace(location.hash);
  const view = VIEWS.includes(place.view) ? place.view : null;
  for (const name of VIEWS) $(`view-${name}`).hidden = name !== view;
  for (const link of document.querySelectorAll('nav a')) {
    if (link.dataset.view === view) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  $('notice').hidden = view !== null;
  if (view === null)
    $('notice').replaceChildren(el('h1', {}, 'There is no such page'),
      `The address asks for \u201c${place.view}\u201d. There are `, el('a', {href: '#overview'}, 'overview'), ', ',
      el('a', {href: '#features'}, 'features'), ' and ', el('a', {href: '#concepts'}, 'concepts'), '.');
  if (view === 'overview') showOverview(run);
  if (view === 'concepts') showConcepts(run);
  if (view === 'features') await showFeatures(run, before);
  document.title = `${place.id === null ? 'Features' : `Feature ${place.id}`} of ${shortHook(run.run.hook)}`;
}

const shortHook = (hook) => (hook || 'an unnamed hook').replace(/^model\./, '');

/* ---- list ------------------------------------------------------------------------------- */

const COLUMNS = [
  {key: 'id', name: 'Id'}, {key: 'description', name: 'Fires on'}, {key: 'max', name: 'Maximum'},
  {key: 'mean', name: 'Mean when on', more: true}, {key: 'density', name: 'Of tokens', more: true},
  {key: 'times', name: 'Tokens', more: true}, {key: 'purity', name: 'Purity', more: true},
  {key: 'nearest', name: 'Nearest', more: true},
];
const collator = new Intl.Collator('en', {numeric: true});
let search = null; // {key, ids, contexts, isDone}

/* Compares features by a column; those without a value come last. */
function comparison(table, sort) {
  const sign = sort.startsWith('-') ? -1 : 1, key = sort.replace(/^-/, '');
  if (key === 'description') return (a, b) => sign * collator.compare(labelOf(table, a), labelOf(table, b)) || a - b;
  const column = table[key];
  if (!column) return (a, b) => sign * (a - b);
  return (a, b) => (isNumber(column[b]) - isNumber(column[a])) || sign * (column[a] - column[b]) || a - b;
}

function filtered(table) {
  const from = Number(place.from), to = Number(place.to), result = [];
  for (let id = 0; id < table.n; id++) {
    const isDead = table.dead[id] === 1;
    if (place.show !== 'every' && isDead !== (place.show === 'dead')) continue;
    if (!isDead && (table.density[id] < from || table.density[id] > to)) continue;
    if (search && !search.ids.has(id)) continue;
    result.push(id);
  }
  return result.sort(comparison(table, place.sort));
}

async function runSearch(run) {
  const key = `${place.in} ${place.q}`;
  if (place.q === '') {
    search?.control.abort();
    search = null;
    return;
  }
  if (search?.key === key) return;
  search?.control.abort();
  const mine = search = {key, ids: new Set(), contexts: new Set(), isDone: false, control: new AbortController()};
  const begin = performance.now(), parts = data.find(place.q, place.in, mine.control.signal);
  const take = ({ids, isContext}) => {
    for (const id of ids) {
      if (isContext && !mine.ids.has(id)) mine.contexts.add(id);
      mine.ids.add(id);
    }
  };
  take((await parts.next()).value);
  timing.search = performance.now() - begin;
  const rest = async () => {
    for await (const part of parts) {
      if (search !== mine) return;
      take(part);
      if (part.ids.length > 0) refreshList(run);
    }
    mine.isDone = true;
    timing.contexts = performance.now() - begin;
    if (search === mine) refreshList(run);
  };
  rest();
}

function refreshList(run) {
  const begin = performance.now();
  state.shown = filtered(run.table);
  if (state.active < 0 || place.id !== null) state.active = state.shown.indexOf(place.id);
  const n = state.shown.length, isLooking = search && !search.isDone && place.in !== 'tokens' && place.in !== 'description';
  $('n-shown').textContent = isLooking ? `${count(n)} so far\u2026` : n === run.table.n ? plural(n, 'feature') : `${count(n)} of ${count(run.table.n)}`;
  $('grid').setAttribute('aria-rowcount', n + 1);
  $('rows').style.height = `${Math.max(1, n) * rowHeight()}px`;
  drawn = null;
  drawRows(run.table);
  timing.list = performance.now() - begin;
}

const rowHeight = () => (matchMedia('(max-width: 820px)').matches ? 52 : 46);
let drawn = null; // first row drawn

/* Only the rows in sight and a few around them exist. */
function drawRows(table) {
  const grid = $('grid'), h = rowHeight(), n = state.shown.length;
  const first = Math.max(0, Math.floor(grid.scrollTop / h) - 6);
  const last = Math.min(n, Math.ceil((grid.scrollTop + grid.clientHeight) / h) + 6);
  const key = `${first} ${last}`;
  if (drawn === key) return;
  drawn = key;
  $('rows').replaceChildren(...(n === 0 ? [emptyList()] : []),
    ...state.shown.slice(first, last).map((id, i) => row(table, id, first + i, h)));
  markActive();
}

function emptyList() {
  const why = place.q ? `Nothing matches \u201c${place.q}\u201d.` : 'No feature is in this range.';
  return el('p', {class: 'notice'}, search && !search.isDone ? 'Looking through the contexts\u2026' : why);
}

function row(table, id, position, h) {
  const needle = place.q.toLowerCase(), isDead = table.dead[id] === 1;
  const max = table.max[table.strongest] || 1;
  const small = el('small', {dir: 'auto'}, marked(table.description[id] ? tokenLine(table.tokens[id], 4) : '', needle));
  const cell = (text, more = true) => el('span', {class: more ? 'number more' : 'number', role: 'gridcell'}, text);
  const bar = el('i');
  bar.style.width = `${100 * (table.max[id] / max)}%`;
  const node = el('div', {class: 'row', role: 'row', id: `row-${id}`, 'aria-rowindex': position + 2, 'data-id': id},
    el('span', {role: 'gridcell'}, el('a', {class: 'id', href: featureLink(id), tabindex: '-1'}, `#${id}`)),
    el('div', {class: 'what', role: 'gridcell'},
      el('div', {dir: 'auto'}, isDead ? 'dead: nothing made it fire' : needle ? marked(labelOf(table, id), needle) : described(table.description[id] || labelOf(table, id))), small),
    el('div', {class: 'bar', role: 'gridcell', 'aria-label': `maximum ${value(table.max[id])}`},
      el('div', {}, bar), el('span', {class: 'number'}, isDead ? DASH : valueLike(table.max[id], max))),
    cell(isDead ? DASH : valueLike(table.mean[id], max)), cell(percent(table.density[id])), cell(count(table.times[id])),
    cell(isNumber(table.purity[id]) ? table.purity[id].toFixed(2) : DASH),
    cell(isNumber(table.nearest[id]) ? table.nearest[id].toFixed(2) : DASH));
  node.style.transform = `translateY(${position * h}px)`;
  node.style.height = `${h}px`;
  if (search?.contexts.has(id)) showSnippet(small, id, needle);
  return node;
}

/* The line of the first context that holds the text. */
async function showSnippet(node, id, needle) {
  const card = await data.card(id);
  const lines = card.contexts.map((context) => context.pieces.join(''));
  const line = lines.find((text) => text.toLowerCase().includes(needle));
  if (!line) return;
  const begin = Math.max(0, line.toLowerCase().indexOf(needle) - 18);
  node.replaceChildren(begin > 0 ? '\u2026' : '', ...marked(line.slice(begin).trim(), needle));
}

function markActive() {
  const id = state.shown[state.active];
  for (const node of $('rows').querySelectorAll('[role=row]'))
    node.setAttribute('aria-selected', Number(node.dataset.id) === id);
  if (id !== undefined && $(`row-${id}`)) $('grid').setAttribute('aria-activedescendant', `row-${id}`);
  else $('grid').removeAttribute('aria-activedescendant');
}

function scrollToActive() {
  const grid = $('grid'), h = rowHeight(), head = $('grid-head').offsetHeight, top = state.active * h;
  if (state.active < 0 || grid.clientHeight === 0) return;
  if (top < grid.scrollTop) grid.scrollTop = top;
  else if (top + h + head > grid.scrollTop + grid.clientHeight) grid.scrollTop = top + h + head - grid.clientHeight + h;
}

/* Moves the choice by so many rows; beside an open card that opens the next one. */
function move(run, by) {
  if (state.shown.length === 0) return;
  state.active = Math.min(state.shown.length - 1, Math.max(0, state.active + by));
  if (place.id !== null) return go({id: state.shown[state.active]}, true);
  scrollToActive();
  drawRows(run.table);
  markActive();
}

function drawHead() {
  $('grid-head').replaceChildren(...COLUMNS.map(({key, name, more}) => {
    const isSorted = place.sort.replace(/^-/, '') === key, isDown = place.sort.startsWith('-');
    const next = isSorted ? (isDown ? key : `-${key}`) : (key === 'id' || key === 'description' ? key : `-${key}`);
    return el('span', {role: 'columnheader', class: more ? 'more n' : '', 'aria-sort': isSorted ? (isDown ? 'descending' : 'ascending') : null},
      el('button', {type: 'button', onclick: () => go({sort: next}, true)}, name, isSorted ? (isDown ? ' \u2193' : ' \u2191') : ''));
  }));
}

function drawTools() {
  for (const select of $('tools').querySelectorAll('select')) {
    const wanted = place[select.name];
    if (select.name === 'sort' && ![...select.options].some((option) => option.value === wanted))
      select.append(el('option', {value: wanted}, `${wanted.replace(/^-/, '')} ${wanted.startsWith('-') ? '\u2193' : '\u2191'}`));
    select.value = wanted;
    select.classList.toggle('set', wanted !== DEFAULTS[select.name]);
  }
  $('reset').hidden = Object.keys(DEFAULTS).every((name) => place[name] === DEFAULTS[name]);
  if (document.activeElement !== $('search')) $('search').value = place.q;
}

async function showFeatures(run, before) {
  const isSplit = place.id !== null;
  $('view-features').classList.toggle('split', isSplit);
  if (before.id !== place.id) state.active = -1;
  drawHead();
  drawTools();
  await runSearch(run);
  refreshList(run);
  scrollToActive();
  drawRows(run.table);
  if (isSplit) await showCard(run, place.id);
}

/* ---- card ------------------------------------------------------------------------------- */

const panel = (title, ...children) => el('section', {class: 'panel'}, el('h2', {}, title), ...children);
const said = (text) => el('p', {}, text);

async function showCard(run, id) {
  const {table} = run;
  if (!(id >= 0 && id < table.n))
    return putCard(el('div', {class: 'notice'}, el('h1', {}, 'There is no such feature'),
      `Features of this run have the numbers 0 to ${count(table.n - 1)}.`));
  if (table.dead[id])
    return putCard(el('div', {class: 'notice'}, el('h1', {}, `Feature ${id} is dead`),
      'Nothing in the text that was studied made it fire, so there is nothing to show.'));
  const card = await data.card(id);
  if (place.id !== id) return; // meanwhile another one was chosen
  if (state.cardId !== id) state.quantile = 0;
  state.cardId = id;
  putCard(el('div', {}, cardTitle(run, card), cardStats(run, card),
    el('div', {class: 'split-card'},
      el('div', {},
        el('div', {class: 'pair'},
          panel('Activation when it fires', histogram(card, table.max[id])),
          panel('Fires on', pieceList(card.tokens))),
        contexts(run, card)),
      el('aside', {class: 'rail', 'aria-label': 'About its meaning'},
        logits(run, card), nearest(run, card), profile(card), conceptsOf(run, id)))));
}

function putCard(node) {
  $('card').replaceChildren(node);
  $('card').scrollTop = 0;
}

function cardTitle(run, card) {
  const {table} = run, id = card.id, label = table.description[id];
  const tokens = table.tokens[id].slice(0, 3).map((text, i) => [i > 0 ? ', ' : '', el('span', {class: 'token', dir: 'auto'}, text.trim() || text)]);
  const step = (by, name, sign) => el('button', {class: 'icon', 'aria-label': name, onclick: () => move(run, by)}, sign);
  return el('div', {},
    el('a', {class: 'back', href: hashOf({...place, view: 'features', id: null})}, '\u2190 All features'),
    el('div', {class: 'title'},
      el('h1', {dir: 'auto'}, el('span', {}, `#${id}`), ...(label ? described(label) : tokens)),
      step(-1, 'Previous feature', '\u2191'), step(1, 'Next feature', '\u2193')),
    el('p', {class: 'sub'}, `Fires on ${plural(table.times[id], 'token')}`,
      label && isNumber(table.purity[id]) ? `; the description accounts for ${percent(table.purity[id])} of its activation.` : '.'));
}

function cardStats(run, card) {
  const {table} = run, id = card.id, near = card.near[0];
  const rank = table.live.reduce((n, other) => n + (table.max[other] > table.max[id]), 1);
  const stat = (name, content) => el('div', {}, el('dt', {}, name), el('dd', {}, content));
  return el('dl', {class: 'stats'},
    stat(`max, no. ${count(rank)}`, value(table.max[id])),
    stat('of tokens', percent(table.density[id])),
    stat('mean when on', valueLike(table.mean[id], table.max[id])),
    isNumber(table.purity[id]) ? stat('purity', table.purity[id].toFixed(2)) : null,
    near ? stat(`nearest, cos ${near.cosine.toFixed(2)}`, el('a', {href: featureLink(near.id)}, `#${near.id}`)) : null);
}

function histogram(card, max) {
  const tips = card.bins.map((n, i) =>
    `${valueLike(max * i / card.bins.length, max)} ${DASH} ${valueLike(max * (i + 1) / card.bins.length, max)}: ${plural(n, 'token')}`);
  return bars(card.bins, {tips, left: '0', right: valueLike(max, max), label: `Histogram of activations from 0 to ${value(max)}`});
}

const pieceList = (pieces, isOne = false) =>
  pieces.length === 0 ? said('Nothing was kept.') :
    el('ul', {class: isOne ? 'pieces one' : 'pieces'}, pieces.map(({text, share, times, score}) =>
      el('li', {'data-tip': times === undefined ? null : `${plural(times, 'time')}, ${percent(share)} of its activation`},
        tokenLabel(text), el('span', {class: 'number'}, score === undefined ? percent(share) : signed(score, 2)))));

function logits(run, card) {
  if (card.raised.length + card.lowered.length === 0)
    return panel('Promotes and suppresses', said(run.run.logit_lens || 'This run has no reading of what the feature does to the next token.'));
  return el('section', {class: 'panel two', 'data-tip': run.run.logit_lens || null},
    el('div', {}, el('h2', {}, 'Promotes'), pieceList(card.raised, true)),
    el('div', {}, el('h2', {}, 'Suppresses'), pieceList(card.lowered, true)));
}

function nearest(run, card) {
  const {table} = run;
  if (card.near.length === 0) return panel('Nearest features', said('This run does not name them.'));
  return panel('Nearest features', el('ul', {class: 'pieces one near'}, card.near.map(({id, cosine}) =>
    el('li', {}, el('a', {href: featureLink(id)}, `#${id}`),
      el('span', {dir: 'auto'}, described(table.description[id] || labelOf(table, id))),
      el('span', {class: 'number'}, cosine.toFixed(2))))));
}

const AROUND = {before: 'Before', after: 'After', case: 'Case', position: 'Position', slot: 'Slot'};

function profile(card) {
  const line = ({kind, text, share}) => el('span', {'data-tip': `${percent(share)} of its activation, estimated from a sample`},
    el('bdi', {class: kind === 'before' || kind === 'after' ? 'token' : null}, text), el('span', {class: 'number'}, percent(share)));
  const kinds = Object.keys(AROUND).filter((kind) => card.profile.some((line) => line.kind === kind));
  if (kinds.length === 0) return null;
  return panel('Around it', el('dl', {class: 'around'}, kinds.map((kind) => [el('dt', {}, AROUND[kind]),
    el('dd', {}, card.profile.filter((line) => line.kind === kind).slice(0, 4).map(line))])));
}

function conceptsOf(run, id) {
  const found = (run.concepts ?? []).flatMap((concept) =>
    concept.hits.filter((hit) => hit.feature === id).map((hit) => ({name: concept.name, f1: hit.f1})));
  if (found.length === 0) return null;
  return panel('Concepts', el('ul', {class: 'pieces one'}, found.map(({name, f1}) =>
    el('li', {}, el('bdi', {}, name), el('span', {class: 'number'}, `F1 ${f1.toFixed(2)}`)))));
}

/* ---- contexts of a card ---- */

function contexts(run, card) {
  const nQuantiles = Number(run.run.quantiles) || Math.max(...card.contexts.map((context) => context.quantile), 1);
  const kinds = [...new Set(card.contexts.map((context) => context.quantile))];
  if (kinds.length === 0) return said('No context of this feature was kept.');
  const share = (q) => Math.round(100 * q / nQuantiles);
  const name = (q) => (q === 0 ? 'Strongest' : `${share(q - 1)}${DASH}${share(q)} %`);
  const list = el('ol', {class: 'contexts', role: 'tabpanel', id: 'contexts', tabindex: '0', 'aria-label': 'Contexts'});
  const choose = (q) => {
    state.quantile = q;
    list.replaceChildren(...card.contexts.filter((context) => context.quantile === q).map((context) => contextRow(context, run.table.max[card.id])));
    for (const tab of tabs.children) {
      const isChosen = Number(tab.dataset.quantile) === q;
      tab.setAttribute('aria-selected', isChosen);
      tab.tabIndex = isChosen ? 0 : -1;
    }
  };
  const tabs = el('div', {class: 'tabs', role: 'tablist', 'aria-label': 'Strength of the contexts'}, kinds.map((q) =>
    el('button', {role: 'tab', 'data-quantile': q, 'aria-controls': 'contexts', onclick: () => choose(q),
                  'data-tip': q === 0 ? null : `drawn at random from activations of ${name(q)} of the maximum`}, name(q))));
  choose(kinds.includes(state.quantile) ? state.quantile : kinds[0]);
  const [strong, weak] = run.kept, isCut = strong < Number(run.run.contexts) || weak < Number(run.run.per_quantile);
  return el('div', {}, tabs, list, isCut ? el('p', {class: 'hint'}, `This page keeps ${strong} contexts, ${weak} of each weaker range; features.db has all.`) : null);
}

/* The text of a context, every token shaded by its activation. */
function shadedText(context, max) {
  const text = el('p', {dir: 'auto'});
  context.pieces.forEach((piece, i) => {
    const word = piece.trimStart(), space = piece.slice(0, piece.length - word.length);
    const shade = context.shades[i], level = shade === 0 ? 0 : Math.min(5, 1 + Math.floor(shade / 51.01)), isPeak = i === context.peak;
    if (i > 0) text.append(space);
    if (word === '' && !isPeak && level === 0) return;
    const isSign = level === 0 && /^[\u21b5\u21e5\u25ab\ufffd\u2400-\u2421]+$/.test(word);
    text.append(el(isPeak ? 'mark' : 'span', {class: `tk l${level}${isPeak ? ' peak' : ''}${isSign ? ' sign' : ''}`,
      'data-tip': `${shade === 0 ? '0' : valueLike(isPeak ? context.value : max * shade / 255, max)}   ${percent(shade / 255)} of max`}, word || '\u00a0'));
  });
  return text;
}

const contextRow = (context, max) =>
  el('li', {class: 'ctx'}, el('span', {class: 'number'}, valueLike(context.value, max)), shadedText(context, max),
    el('span', {class: 'src', dir: 'auto', title: context.title}, context.title));

/* ---- charts ----------------------------------------------------------------------------- */

const short = (x) => (x >= 1e6 ? `${value(x / 1e6)}M` : x >= 1e4 ? `${value(x / 1e3)}k` : x < 0.01 && x > 0 ? x.toExponential().replace('-', MINUS) : value(x));

/* Bars over equal steps; tips: a sentence each. */
function bars(heights, {tips, left, right, middle, label, width = 320, height = 96}) {
  const most = heights.reduce((a, b) => Math.max(a, b), 1), bottom = height - 14, step = (width - 2) / heights.length;
  return svg('svg', {viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label},
    svg('g', {class: 'bars'}, heights.map((n, i) => {
      const h = n > 0 ? Math.max(1, (bottom - 4) * n / most) : 0;
      return svg('rect', {x: (1 + i * step).toFixed(2), width: Math.max(0.5, step - (step > 4 ? 1 : 0.3)).toFixed(2),
                          y: (bottom - h).toFixed(2), height: h.toFixed(2), 'data-tip': tips[i]});
    })),
    svg('line', {class: 'axis', x1: 0, x2: width, y1: bottom + .5, y2: bottom + .5}),
    svg('text', {x: 0, y: height - 2}, left),
    middle ? svg('text', {x: width / 2, y: height - 2, 'text-anchor': 'middle'}, middle) : null,
    svg('text', {x: width, y: height - 2, 'text-anchor': 'end'}, right));
}

/* Round numbers from least to most: about n of them. On a log axis powers of ten, 1-2-5 or all multiples of them. */
function ticks(least, most, isLog, n = 4) {
  if (isLog) {
    const low = Math.floor(Math.log10(least)), decades = Math.log10(most / least);
    const times = decades > 2.5 ? [1] : decades > 0.6 ? [1, 2, 5] : [1, 2, 3, 4, 5, 6, 7, 8, 9];
    const all = Array.from({length: Math.ceil(decades) + 2}, (_, i) => times.map((k) => k * 10 ** (low + i))).flat()
      .filter((v) => v >= least && v <= most);
    return all.length > 0 ? all.filter((_, i) => i % Math.ceil(all.length / (n + 1)) === 0) : [least, most];
  }
  const rough = (most - least) / n, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((k) => k * power >= rough), first = Math.ceil(least / step);
  return Array.from({length: Math.floor(most / step) - first + 1}, (_, i) => (first + i) * step);
}

/* A curve [mean, low, high] over [steps]; logarithmic where it spans more than a factor of 8. */
function curve(title, steps, [mean, low, high]) {
  const W = 300, H = 124, L = 42, R = 4, T = 6, B = 18;
  const numbers = [...low, ...high].filter(isNumber);
  if (numbers.length === 0) return null;
  let least = Math.min(...numbers), most = Math.max(...numbers);
  const isLog = least > 0 && most / least > 8, f = isLog ? Math.log10 : (y) => y;
  if (!isLog) least = Math.min(0, least);
  if (most === least) most = least + 1;
  const end = steps.at(-1) || 1;
  const x = (i) => L + (W - L - R) * steps[i] / end, y = (v) => H - B - (H - B - T) * (f(v) - f(least)) / (f(most) - f(least));
  const points = (of) => of.map((v, i) => (isNumber(v) ? `${x(i).toFixed(1)},${y(v).toFixed(1)}` : null)).filter(Boolean);
  const cursor = svg('line', {class: 'cursor', y1: T, y2: H - B, visibility: 'hidden'});
  const onMove = (event) => {
    const box = chart.getBoundingClientRect(), at = ((event.clientX - box.left) / box.width * W - L) / (W - L - R) * end;
    const i = steps.reduce((best, s, k) => (Math.abs(s - at) < Math.abs(steps[best] - at) ? k : best), 0);
    cursor.setAttribute('x1', x(i));
    cursor.setAttribute('x2', x(i));
    cursor.setAttribute('visibility', 'visible');
    showTip(`step ${count(steps[i])}: ${value(mean[i])}`, event.clientX, event.clientY);
  };
  const onLeave = () => {
    cursor.setAttribute('visibility', 'hidden');
    hideTip();
  };
  const chart = svg('svg', {viewBox: `0 0 ${W} ${H}`, role: 'img', onpointermove: onMove, onpointerleave: onLeave,
                            'aria-label': `${title}: from ${value(mean.find(isNumber))} to ${value(mean.findLast(isNumber))}`},
    ticks(least, most, isLog).map((v) => [
      svg('line', {class: 'axis grid', x1: L, x2: W - R, y1: y(v), y2: y(v)}),
      svg('text', {x: L - 5, y: y(v) + 4, 'text-anchor': 'end'}, short(v))]),
    svg('line', {class: 'axis', x1: L, x2: W - R, y1: H - B, y2: H - B}),
    svg('text', {x: L, y: H - 4}, '0'), svg('text', {x: W - R, y: H - 4, 'text-anchor': 'end'}, `${short(end)} steps`),
    svg('polygon', {class: 'band', points: [...points(low), ...points(high).reverse()].join(' ')}),
    svg('polyline', {class: 'line', points: points(mean).join(' ')}), cursor);
  return panel(el('span', {}, title, isLog ? el('small', {}, ' \u00b7 log') : null), chart);
}

/* ---- the map: all features in a square, coloured by maximum */

function strengthMap(run) {
  const {table} = run, side = Math.ceil(Math.sqrt(table.n)), color = (i) => run.palette.slice(6 * i, 6 * i + 6);
  const nColors = run.palette.length / 6, top = Math.log(table.max[table.strongest]), bottom = Math.log(table.max[table.weakest]);
  const canvas = el('canvas', {width: side, height: side, tabindex: '0', role: 'application',
    'aria-label': `Map of ${plural(table.n, 'feature')} by maximum activation. Arrow keys move, Enter opens.`});
  const ring = el('i', {hidden: true}), hint = el('p', {class: 'hint', 'aria-live': 'polite'}, 'Point at a cell to see the feature, click to open it.');
  const context = canvas.getContext('2d'), image = context.createImageData(side, side);
  const dead = /^#(..)(..)(..)$/.exec(getComputedStyle(document.documentElement).getPropertyValue('--dead').trim()) ?? [0, 'e8', 'e9', 'ec'];
  for (let id = 0; id < table.n; id++) {
    const t = top > bottom ? (Math.log(table.max[id]) - bottom) / (top - bottom) : 1;
    const hex = table.dead[id] ? dead.slice(1).join('') : color(Math.round(t * (nColors - 1)));
    for (let k = 0; k < 3; k++) image.data[4 * id + k] = parseInt(hex.slice(2 * k, 2 * k + 2), 16);
    image.data[4 * id + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  const scale = el('canvas', {width: nColors, height: 1, 'aria-hidden': 'true'}), scaleContext = scale.getContext('2d');
  for (let i = 0; i < nColors; i++) {
    scaleContext.fillStyle = `#${color(i)}`;
    scaleContext.fillRect(i, 0, 1, 1);
  }
  let at = -1;
  const point = (id) => {
    if (id < 0 || id >= table.n) return;
    at = id;
    ring.hidden = false;
    const percentOf = (k) => `${100 * k / side}%`;
    Object.assign(ring.style, {left: percentOf(id % side), top: percentOf(Math.floor(id / side)), width: percentOf(1), height: percentOf(1)});
    hint.replaceChildren(`#${id}  `, table.dead[id] ? 'dead' :
      `${value(table.max[id])}  ${labelOf(table, id)}`);
  };
  const cellAt = (event) => {
    const box = canvas.getBoundingClientRect(), k = (v, size) => Math.min(side - 1, Math.max(0, Math.floor(v / size * side)));
    return k(event.clientY - box.top, box.height) * side + k(event.clientX - box.left, box.width);
  };
  canvas.addEventListener('pointermove', (event) => point(cellAt(event)));
  canvas.addEventListener('click', (event) => { if (cellAt(event) < table.n) go({view: 'features', id: cellAt(event)}); });
  canvas.addEventListener('keydown', (event) => {
    const by = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -side, ArrowDown: side}[event.key];
    if (by) point(at < 0 ? table.strongest : at + by);
    else if (event.key === 'Enter' && at >= 0) go({view: 'features', id: at});
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return el('div', {}, el('div', {class: 'map'}, canvas, ring),
    el('div', {class: 'scale'}, value(table.max[table.weakest]), scale, value(table.max[table.strongest]), el('span', {}, el('i'), 'dead')), hint);
}

/* ---- overview --------------------------------------------------------------------------- */

function densityBars(table) {
  const tenths = table.live.map((id) => 5 * Math.log10(table.density[id])).filter(isNumber);
  const low = 5 * Math.floor(Math.min(...tenths, -5) / 5), counts = new Array(-low).fill(0);
  for (const t of tenths) counts[Math.min(counts.length - 1, Math.floor(t - low))]++;
  const edge = (i) => percent(10 ** ((low + i) / 5));
  return bars(counts, {tips: counts.map((n, i) => `${edge(i)} ${DASH} ${edge(i + 1)} of tokens: ${plural(n, 'feature')}`),
    left: edge(0), right: '100 %', label: 'Features by the share of tokens they fire on', width: 300, height: 110});
}

/* Without the last ten-thousandth of the tokens, which would make the rest small. */
function l0Bars(all) {
  let left = all.reduce((a, b) => a + b, 0) / 10000, n = all.length;
  while (n > 1 && (left -= all[n - 1]) >= 0) n--;
  const l0 = all.slice(0, n);
  const per = Math.ceil(Math.max(1, l0.length) / 60), counts = [];
  l0.forEach((n, i) => { counts[Math.floor(i / per)] = (counts[Math.floor(i / per)] ?? 0) + n; });
  return bars(counts, {tips: counts.map((n, i) => `${per === 1 ? i : `${i * per} ${DASH} ${i * per + per - 1}`} features on: ${plural(n, 'token')}`),
    left: '0', right: count(l0.length - 1), label: 'Tokens by how many features fire on them', width: 300, height: 110});
}

function madeOf(run) {
  const line = (name, text) => el('div', {}, el('dt', {}, name.replaceAll('_', ' ')), el('dd', {dir: 'auto'}, text));
  const text = (x) => (typeof x === 'object' && x !== null ? JSON.stringify(x) : String(x));
  const stages = run.stages.filter((stage) => stage && typeof stage === 'object');
  return el('details', {class: 'block'}, el('summary', {}, 'How it was made'),
    el('dl', {class: 'made'}, Object.entries(run.run).filter(([, v]) => v !== '').map(([name, v]) => line(name, v))),
    stages.map((stage) => [
      el('h2', {}, `facet ${text(stage.command)}`),
      el('dl', {class: 'made'}, Object.entries({...Object(stage.config), started: stage.started, seconds: stage.seconds})
        .filter(([, v]) => v !== undefined).map(([name, v]) => line(name, text(v))))]));
}

function highlightOf(table, {feature, text}) {
  const label = table.description[feature];
  const reason = label ? `${percent(table.purity[feature])} of its activation; fires on ${percent(table.density[feature])} of tokens` : text;
  const link = el('a', {href: featureLink(feature)},
    el('b', {}, el('span', {}, `#${feature}`), ...(label ? described(label) : [tokenLine(table.tokens[feature], 3)])), el('small', {}, reason));
  data.card(feature).then((card) => link.append(...card.contexts.slice(0, 2).map((context) => shadedText(context, table.max[feature]))));
  return el('li', {}, link);
}

function showOverview(run) {
  const {table, curves} = run, r = run.run;
  const chart = (title, key) => (curves[key] ? curve(title, curves.step[0], curves[key]) : null);
  const hasLive = table.live.length > 0;
  $('view-overview').replaceChildren(
    el('h1', {}, `Features of ${shortHook(r.hook)}`),
    el('p', {class: 'sub'}, `A sparse autoencoder with ${count(table.n)} features, trained on the output of `,
      el('bdi', {}, r.hook || 'an unnamed hook'), ' in ', el('bdi', {}, r.model || 'an unnamed model'), ` and studied on ${count(r.n_rows)} tokens.`),
    el('dl', {class: 'numbers'}, run.numbers.map(({name, grade, value: text, remark}) =>
      el('div', {class: grade}, el('dd', {class: 'value'}, text), el('dt', {}, name), el('dd', {}, remark)))),
    run.highlights.length === 0 ? '' : el('section', {class: 'block'}, el('h2', {}, 'Worth a look'),
      el('ul', {class: 'worth'}, run.highlights.map((highlight) => highlightOf(table, highlight)))),
    el('div', {class: 'columns block'},
      el('section', {}, el('h2', {}, 'Strength of every feature'),
        hasLive ? strengthMap(run) : el('p', {class: 'hint'}, 'Nothing in the text made any feature fire.')),
      el('div', {},
        curves.step ? [el('h2', {}, 'Training'),
          el('div', {class: 'charts'}, chart('Total loss', 'total'), chart('Mean squared error', 'mse'),
             chart('Features per token (L0)', 'l0'), chart('Dead features', 'dead'))] : [],
        el('h2', {}, 'Sparsity'),
        el('div', {class: 'charts'}, panel('Features that fire on one token', l0Bars(run.l0)),
          hasLive ? panel('Share of tokens a feature fires on', densityBars(table)) : null))),
    madeOf(run));
}

/* ---- concepts --------------------------------------------------------------------------- */

function showConcepts(run) {
  const concepts = run.concepts ?? [], fixed = (x) => (isNumber(x) ? x.toFixed(2) : DASH);
  const head = ['Concept', 'Tokens', 'Best feature', 'F1', 'Precision', 'Recall', 'Above', 'AUC', 'Of 100 strongest', 'Next best'];
  const line = ({name, rule, rows, hits}) => {
    const [best, ...others] = hits;
    return el('tr', {}, el('th', {scope: 'row'}, el('bdi', {}, name), el('small', {dir: 'auto'}, described(rule))), el('td', {class: 'number'}, count(rows)),
      el('td', {}, best ? [el('a', {href: featureLink(best.feature)}, `#${best.feature}`), el('small', {}, run.table.description[best.feature]?.replaceAll('`', ''))] : DASH),
      ['f1', 'precision', 'recall', 'threshold', 'auc', 'precision_100'].map((key) =>
        el('td', {class: 'number'}, best ? (key !== 'threshold' ? fixed(best[key]) : best[key] > 0 ? value(best[key]) : 'on') : DASH)),
      el('td', {}, others.slice(0, 4).map((hit, i) => [i > 0 ? ' ' : '', el('a', {href: featureLink(hit.feature), 'data-tip': `F1 ${fixed(hit.f1)}`}, `#${hit.feature}`)])));
  };
  $('view-concepts').replaceChildren(el('h1', {}, 'Concepts'),
    el('p', {class: 'sub'}, concepts.length === 0 ? 'No concepts were looked for in this run.' :
      'Rules about tokens that were looked for, each with the features that tell best whether it holds.'),
    ...(concepts.length === 0 ? [] : [el('div', {class: 'scroll'}, el('table', {},
      el('thead', {}, el('tr', {}, head.map((name, i) => el('th', {scope: 'col', class: i === 1 || (i > 2 && i < 9) ? 'n' : null}, name)))),
      el('tbody', {}, concepts.map(line))))]));
}

/* ---- input ------------------------------------------------------------------------------ */

function showTip(text, x, y) {
  const tip = $('tip');
  tip.textContent = text;
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(x - box.width / 2, innerWidth - box.width - 4))}px`;
  tip.style.top = `${y - box.height - 12 < 4 ? y + 18 : y - box.height - 12}px`;
}

function hideTip() {
  $('tip').hidden = true;
}

function onPoint(event) {
  const node = event.target.closest?.('[data-tip]');
  if (!node) return event.target.closest?.('svg') || hideTip();
  const box = node.getBoundingClientRect();
  showTip(node.dataset.tip, node.matches('section') ? event.clientX : box.left + box.width / 2, node.matches('section') ? event.clientY : box.top);
}

const THEMES = {auto: '\u25d0', light: '\u2600', dark: '\u263e'};
const remember = { // storage may be refused, for instance for pages from disk
  get() { try { return localStorage.getItem('facet-theme'); } catch { return null; } },
  set(theme) { try { localStorage.setItem('facet-theme', theme); } catch { /* for this visit only */ } },
};
const systemDark = matchMedia('(prefers-color-scheme: dark)');
let theme = Object.hasOwn(THEMES, remember.get() ?? '') ? remember.get() : 'auto';

function applyTheme() {
  const isDark = theme === 'dark' || (theme === 'auto' && systemDark.matches);
  document.documentElement.dataset.theme = isDark ? 'dark' : 'light';
  $('theme').textContent = THEMES[theme];
  $('theme').setAttribute('aria-label', `Theme: ${theme}`);
  $('theme').title = `Theme: ${theme}`;
}

function nextTheme() {
  const names = Object.keys(THEMES);
  theme = names[(names.indexOf(theme) + 1) % names.length];
  remember.set(theme);
  applyTheme();
  if (place.view === 'overview') show();
}

function nextTab(by) {
  const tabs = [...document.querySelectorAll('#card [role=tab]')];
  const next = tabs[tabs.findIndex((tab) => tab.getAttribute('aria-selected') === 'true') + by];
  next?.click();
  if (document.activeElement?.getAttribute('role') === 'tab') next?.focus();
}

function escape() {
  if (!$('tip').hidden) hideTip();
  if (document.activeElement === $('search') && $('search').value === '') $('search').blur();
  else if (place.q !== '' || $('search').value !== '') {
    $('search').value = '';
    go({q: ''}, true);
  } else if (place.id !== null) go({id: null});
}

function keys(run) {
  const isList = () => place.view === 'features';
  return {
    '/': () => { $('search').focus(); $('search').select(); },
    '?': () => $('help').showModal(),
    ArrowDown: () => isList() && move(run, 1), ArrowUp: () => isList() && move(run, -1),
    j: () => isList() && move(run, 1), k: () => isList() && move(run, -1),
    ArrowRight: () => place.id !== null && nextTab(1), ArrowLeft: () => place.id !== null && nextTab(-1),
    PageDown: () => isList() && place.id === null && move(run, 15), PageUp: () => isList() && place.id === null && move(run, -15),
    Enter: () => isList() && place.id === null && state.shown.length > 0 && go({id: state.shown[Math.max(0, state.active)]}),
    o: () => go({view: 'overview', id: null}), f: () => go({view: 'features', id: null}), c: () => go({view: 'concepts', id: null}),
    t: nextTheme,
  };
}

function onKey(event, actions) {
  const {target, key} = event, isTyping = target === $('search');
  if (event.ctrlKey || event.metaKey || event.altKey || $('help').open) return;
  if (key === 'Escape') return escape();
  if (target.matches('select') || (target.matches('button, a, summary') && key === 'Enter')) return;
  if (isTyping && !['ArrowDown', 'ArrowUp', 'Enter'].includes(key)) return;
  const action = Object.hasOwn(actions, key) ? actions[key] : null;
  if (!action || action() === false) return;
  event.preventDefault();
}

function listen(run) {
  const actions = keys(run);
  let waiting = 0;
  document.addEventListener('keydown', (event) => onKey(event, actions));
  document.addEventListener('pointerover', onPoint);
  document.addEventListener('scroll', hideTip, true);
  addEventListener('hashchange', show);
  addEventListener('resize', () => { if (place.view === 'features') refreshList(run); });
  systemDark.addEventListener('change', () => { applyTheme(); if (place.view === 'overview') show(); });
  $('grid').addEventListener('scroll', () => requestAnimationFrame(() => drawRows(run.table)));
  $('rows').addEventListener('click', (event) => {
    const node = event.target.closest('.row');
    if (node && !event.target.closest('a')) go({id: Number(node.dataset.id)});
  });
  $('search').addEventListener('input', () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => go({view: 'features', q: $('search').value}, place.view === 'features'), 60);
  });
  $('tools').addEventListener('change', (event) => go({[event.target.name]: event.target.value}, true));
  $('tools').addEventListener('reset', (event) => { event.preventDefault(); go(DEFAULTS, true); });
  $('tools').addEventListener('submit', (event) => event.preventDefault());
  $('help-open').addEventListener('click', () => $('help').showModal());
  $('theme').addEventListener('click', nextTheme);
  $('skip').addEventListener('click', () => $('main').focus());
}

async function start() {
  applyTheme();
  if (typeof DecompressionStream !== 'function') throw new Error('this browser is older than 2023 and cannot unpack the data');
  const run = await data.run(), {table} = run;
  table.strongest = table.live.reduce((a, b) => (table.max[b] > table.max[a] ? b : a), table.live[0]);
  table.weakest = table.live.reduce((a, b) => (table.max[b] < table.max[a] ? b : a), table.live[0]);
  $('run-name').textContent = `${run.run.model || 'unnamed model'} \u00b7 ${shortHook(run.run.hook)} \u00b7 ${count(run.run.d_in || 0)} \u2192 ${count(table.n)}`;
  $('n-live').textContent = `${count(table.live.length)} live`;
  $('n-concepts').textContent = run.concepts?.length ? count(run.concepts.length) : '';
  facet.state = state; // for tests and the curious
  listen(run);
  await show();
  timing.ready = performance.now();
}

start().catch((error) => {
  $('notice').hidden = false;
  $('notice').setAttribute('role', 'alert');
  $('notice').replaceChildren(el('h1', {}, 'The page cannot be shown'), `${error.message}. report.pdf beside it shows the strongest features.`);
});

})();

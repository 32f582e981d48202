/* The data of report.html: what the views ask for, answered from the blocks in this page.
 *
 *   facet.data.run()     everything but the cards
 *   facet.data.card(id)  one live feature with its contexts
 *   facet.data.find(..)  ids of the features that match a text, in parts as they are found
 *
 * All three are asynchronous and know nothing of the page's look, so a server could answer them as well.
 * A block is bytes, deflated, in base64; html_cards.c has the format of the cards.
 *
 * SPDX-License-Identifier: Apache-2.0 */
'use strict';
window.facet = (() => {

/* Reads the varints of a stream: 7 bits a byte, low first. */
function varints(bytes, begin) {
  let at = begin;
  return () => {
    let result = 0, scale = 1, byte;
    do {
      byte = bytes[at++];
      result += (byte & 127) * scale;
      scale *= 128;
    } while (byte & 128);
    return result;
  };
}

/* A block of JSON, and blocks of cards that are unpacked when one of them is asked for. */
function embeddedRun() {
  const parsed = new Promise((done) => {
    if (document.readyState !== 'loading') done();
    else document.addEventListener('DOMContentLoaded', done);
  });
  const blocks = new Map(); // the last few, as cards
  const texts = []; // [block][card] the contexts in lower case, for the search
  let whole = null, table = null;

  async function unpack(name) {
    if (!document.getElementById(name)) await parsed;
    const letters = atob(document.getElementById(name).textContent), bytes = new Uint8Array(letters.length);
    for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  async function load() {
    const run = JSON.parse(new TextDecoder().decode(await unpack('run')));
    const f = run.features;
    table = {...f, n: f.max.length, live: []};
    table.block = new Int32Array(table.n).fill(-1);
    f.dead.forEach((dead, id) => {
      if (dead) return;
      table.block[id] = Math.floor(table.live.length / run.cards_a_block);
      table.live.push(id);
    });
    table.tokens = f.tokens.map((pieces) => pieces.map((piece) => run.pieces[piece]));
    table.tokenText = table.tokens.map((pieces) => pieces.join('\n').toLowerCase());
    table.descriptionText = f.description.map((text) => text.replaceAll('`', '').toLowerCase());
    return {...run, table};
  }

  const list = (next, read) => Array.from({length: next()}, read);

  function readCard(run, id, next) {
    const share = () => next() / 10000, piece = () => run.pieces[next()];
    const max = table.max[id];
    return {
      id,
      bins: list(next, next),
      tokens: list(next, () => ({text: piece(), share: share(), times: next()})),
      near: list(next, () => ({id: next(), cosine: next() / 1000 - 1})),
      raised: list(next, () => ({text: piece(), score: next() / 1000})),
      lowered: list(next, () => ({text: piece(), score: -next() / 1000})),
      profile: list(next, () => ({kind: run.phrases[next()], text: run.phrases[next()], share: share()})),
      contexts: list(next, () => ({quantile: next(), value: share() * max, title: run.titles[next()],
                                   peak: next(), n: next()})),
    };
  }

  async function readBlock(run, b) {
    const bytes = await unpack(`cards-${b}`), next = varints(bytes, 0);
    const nNumbers = next(), nPieces = next();
    let begin = 0;
    while (bytes[begin++] & 128);
    while (bytes[begin++] & 128);
    const number = varints(bytes, begin), piece = varints(bytes, begin + nNumbers);
    let at = begin + nNumbers + nPieces;
    const ids = table.live.slice(b * run.cards_a_block, (b + 1) * run.cards_a_block);
    const cards = ids.map((id) => readCard(run, id, number));
    for (const card of cards)
      for (const context of card.contexts) {
        context.pieces = Array.from({length: context.n}, () => run.pieces[piece()]);
        context.shades = bytes.subarray(at, at += context.n);
      }
    return cards;
  }

  async function block(b) {
    if (!blocks.has(b)) blocks.set(b, readBlock(await source.run(), b));
    if (blocks.size > 24) blocks.delete(blocks.keys().next().value);
    return blocks.get(b);
  }

  async function textsOf(b) {
    if (!texts[b]) {
      const cards = await block(b);
      texts[b] = cards.map((card) =>
        card.contexts.map((context) => context.pieces.join('')).join('\n').toLowerCase());
    }
    return texts[b];
  }

  const source = {
    /* Everything but the cards: {run, numbers, highlights, stages, curves, l0, concepts, table}. */
    run: () => (whole ??= load()),

    /* One live feature; null when it has no card. */
    async card(id) {
      await source.run();
      const b = table.block[id] ?? -1;
      return b < 0 ? null : (await block(b)).find((card) => card.id === id);
    },

    /* Ids of features that match, in parts as they are found: {ids, isContext}. What the table can
     * tell comes first and at once. */
    async *find(text, scope, signal) {
      const run = await source.run(), needle = text.toLowerCase(), ids = [];
      const number = /^#?(\d+)$/.exec(text.trim())?.[1];
      for (let id = 0; id < table.n; id++)
        if ((scope === 'all' && number !== undefined && String(id).startsWith(number)) ||
            ((scope === 'all' || scope === 'tokens') && table.tokenText[id].includes(needle)) ||
            ((scope === 'all' || scope === 'description') && table.descriptionText[id].includes(needle)))
          ids.push(id);
      yield {ids, isContext: false};
      if (text.startsWith('#') || (scope !== 'all' && scope !== 'contexts')) return;
      const nBlocks = Math.ceil(table.live.length / run.cards_a_block);
      let found = [];
      for (let b = 0, begin = performance.now(); b < nBlocks; b++) {
        const block = texts[b] ?? await textsOf(b);
        if (signal.aborted) return;
        block.forEach((all, i) => {
          if (all.includes(needle)) found.push(table.live[b * run.cards_a_block + i]);
        });
        if (performance.now() - begin < 40 || found.length === 0) continue;
        yield {ids: found, isContext: true};
        found = [];
        begin = performance.now();
      }
      yield {ids: found, isContext: true};
    },
  };
  return source;
}

return {data: embeddedRun(), timing: {}};

})();

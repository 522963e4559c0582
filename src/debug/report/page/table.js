// The list of records: only what is on the screen is in the page, so fifty thousand scroll like fifty.
class Records {
  static HEIGHT = 22;
  // Browsers limit how tall an element can be; a longer list scrolls in proportion.
  static TALLEST = 12e6;

  constructor(rec, onPick) {
    Object.assign(this, { rec, onPick, shown: new Int32Array(0), selected: -1, range: null, pending: false });
    this.pane = $('records');
    this.rows = [];
    this.filter = { text: '', conn: '', layers: new Set(rec.layers.map((_, i) => i)), wrong: false };
    this.pane.addEventListener('scroll', () => this.draw(), { passive: true });
    new ResizeObserver(() => this.draw()).observe(this.pane);
    $('rows').addEventListener('click', (event) => {
      const row = event.target.closest('.row');
      if (row) this.pick(+row.dataset.row);
    });
    this.pane.addEventListener('keydown', (event) => this.key(event));
  }

  apply() {
    const { rec, filter, range } = this;
    const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
    const conn = filter.conn === '' ? -1 : +filter.conn;
    const from = range ? rec.lower(range[0]) : 0, to = range ? rec.lower(range[1] + 0.001) : rec.length;
    const found = new Int32Array(Math.max(to - from, 0));
    let count = 0;
    for (let i = from; i < to; i++) {
      if (conn >= 0 && rec.conn[i] !== conn) continue;
      if (!filter.layers.has(rec.layer[i])) continue;
      if (filter.wrong && rec.mark[i] !== WRONG) continue;
      if (words.length) {
        const [name, details] = rec.haystack(i);
        if (!words.every((word) => name.includes(word) || details.includes(word) || rec.raw[i].includes(word))) continue;
      }
      found[count++] = i;
    }
    this.shown = found.subarray(0, count);
    $('count').textContent = count === rec.length ? show.count(count) + ' records' : show.count(count) + ' of ' + show.count(rec.length) + ' records';
    $('tall').style.height = Math.min(count * Records.HEIGHT, Records.TALLEST) + 'px';
    this.draw();
  }

  // How many rows fit, and which is the first.
  window() {
    const height = this.pane.clientHeight, fit = Math.ceil(height / Records.HEIGHT) + 1;
    const whole = this.shown.length * Records.HEIGHT, tall = Math.min(whole, Records.TALLEST);
    const top = Math.min(this.pane.scrollTop, Math.max(tall - height, 0));
    if (whole <= Records.TALLEST) return { first: Math.floor(top / Records.HEIGHT), fit, at: Math.floor(top / Records.HEIGHT) * Records.HEIGHT };
    const first = Math.floor(top / (tall - height) * Math.max(this.shown.length - fit + 1, 0));
    return { first, fit, at: top };
  }

  draw() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      const { first, fit, at } = this.window();
      $('rows').style.transform = 'translateY(' + at + 'px)';
      while (this.rows.length < fit) {
        const cells = ['t', 'c', 'l', 'm', 's', 'd'].map((name) => element('span', { class: name }));
        const row = element('div', { class: 'row' }, ...cells);
        this.rows.push({ row, cells });
        $('rows').append(row);
      }
      this.rows.forEach(({ row, cells }, i) => {
        const index = this.shown[first + i];
        row.hidden = i >= fit || index === undefined;
        if (!row.hidden) this.fill(row, cells, index);
      });
    });
  }

  fill(row, cells, i) {
    const { rec } = this;
    row.dataset.row = i;
    row.className = 'row m' + rec.mark[i] + (i === this.selected ? ' on' : '');
    const texts = [show.clock(rec, rec.t[i]), rec.connName(rec.conn[i]), rec.layers[rec.layer[i]], '→←·!'[rec.mark[i]],
      rec.strings[rec.subject[i]], rec.details[i]];
    cells.forEach((cell, c) => { if (cell.textContent !== texts[c]) cell.textContent = texts[c]; });
    cells[4].title = texts[4];
    cells[5].title = texts[5];
  }

  pick(i) {
    this.selected = i;
    this.draw();
    this.onPick(i);
  }

  // Brings a record into sight; filters that hide it are taken off.
  reveal(i) {
    let at = this.position(i);
    if (at < 0) {
      clearFilters();
      at = this.position(i);
    }
    const height = this.pane.clientHeight, whole = this.shown.length * Records.HEIGHT;
    const fit = Math.ceil(height / Records.HEIGHT) + 1;
    if (whole <= Records.TALLEST) {
      const top = at * Records.HEIGHT;
      if (top < this.pane.scrollTop || top + Records.HEIGHT > this.pane.scrollTop + height) this.pane.scrollTop = top - height / 2;
    } else {
      this.pane.scrollTop = Math.max(at - fit / 2, 0) / Math.max(this.shown.length - fit + 1, 1) * (Records.TALLEST - height);
    }
    this.pick(i);
  }

  position(i) {
    let low = 0, high = this.shown.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.shown[middle] < i) low = middle + 1; else high = middle;
    }
    return this.shown[low] === i ? low : -1;
  }

  key(event) {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 20, PageUp: -20 }[event.key];
    if (!by || !this.shown.length) return;
    const at = this.position(this.selected);
    this.reveal(this.shown[Math.max(0, Math.min(this.shown.length - 1, at < 0 ? 0 : at + by))]);
    event.preventDefault();
  }
}

// Calls by method.
class Calls {
  constructor(rec, onMethod) {
    const of = new Map(), { calls } = rec;
    for (let i = 0; i < calls.method.length; i++) {
      const name = rec.strings[calls.method[i]];
      if (!of.has(name)) of.set(name, { name, count: 0, failed: 0, open: 0, sent: 0, received: 0, took: [] });
      const one = of.get(name);
      one.count++;
      if (calls.failed[i]) one.failed++;
      if (calls.us[i] >= 0) one.took.push(calls.us[i]); else one.open++;
      one.sent += calls.sent[i];
      one.received += calls.received[i];
    }
    this.list = [...of.values()];
    for (const one of this.list) {
      one.took.sort((a, b) => a - b);
      const at = (q) => one.took.length ? one.took[Math.min(one.took.length - 1, Math.floor(q * one.took.length))] : -1;
      Object.assign(one, { median: at(0.5), p95: at(0.95), most: at(1) });
    }
    const span = (us) => us < 0 ? '–' : show.span(us);
    this.columns = [
      ['method', 'name', (v) => v], ['calls', 'count', show.count], ['failed', 'failed', (v) => v || ''], ['no answer', 'open', (v) => v || ''],
      ['median', 'median', span], ['95 %', 'p95', span], ['slowest', 'most', span], ['sent', 'sent', show.size], ['received', 'received', show.size],
    ];
    this.sort = ['count', -1];
    const head = this.columns.map(([title, key]) => element('th', { scope: 'col' }, element('button', { type: 'button', onclick: () => this.by(key) }, title)));
    $('calls').querySelector('thead').append(element('tr', {}, ...head));
    this.onMethod = onMethod;
    this.draw();
  }

  by(key) {
    this.sort = [key, this.sort[0] === key ? -this.sort[1] : key === 'name' ? 1 : -1];
    this.draw();
  }

  draw() {
    const [key, way] = this.sort;
    this.list.sort((a, b) => (a[key] < b[key] ? -1 : a[key] > b[key] ? 1 : 0) * way);
    const rows = this.list.map((one) => element('tr', { onclick: () => this.onMethod(one.name) }, ...this.columns.map(([, field, say]) =>
      element('td', { class: field === 'failed' && one.failed ? 'wrong' : undefined }, String(say(one[field]))))));
    if (!rows.length) rows.push(element('tr', {}, element('td', { colspan: this.columns.length }, 'No call was recorded: trace the layer rpc.')));
    $('calls').querySelector('tbody').replaceChildren(...rows);
  }
}

function drawFindings(rec, onPick) {
  const found = rec.findings.map((finding) => element('div', { class: 'finding s' + finding.severity },
    element('h3', {}, finding.title),
    element('p', {}, finding.meaning),
    element('div', { class: 'where' }, ...finding.rows.map((row) =>
      element('button', { type: 'button', onclick: () => onPick(row) }, show.clock(rec, rec.t[row]) + '  ' + rec.strings[rec.subject[row]])),
    finding.more ? element('span', { class: 'hint' }, 'and ' + show.count(finding.more) + ' more') : null)));
  if (!found.length) found.push(element('p', {}, 'Nothing out of the ordinary: everything was acknowledged, nothing was sent twice, no call was slow or failed.'));
  $('findings').replaceChildren(...found);
}

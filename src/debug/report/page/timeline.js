// The timeline and the two plots. All share one view: a range of time in microseconds since the start.
class Timeline {
  constructor(rec, onRange, onPick) {
    Object.assign(this, { rec, onRange, onPick, view: null, drag: null, pending: false });
    this.lanes = rec.conns.map((_, i) => i).filter((i) => rec.sums.some((s) => s.conn === i && s.records));
    this.places();
    this.whole();
    for (const canvas of ['timeline', 'latency', 'sizes'].map($)) this.listen(canvas);
    new ResizeObserver(() => this.draw()).observe($('lanes'));
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
    $('whole').addEventListener('click', () => { this.whole(); this.changed(); });
  }

  whole() {
    const pad = Math.max(this.rec.end * 0.01, 1);
    this.view = [-pad, this.rec.end + pad];
  }

  // Calls of a connection that overlap lie under each other, four deep.
  places() {
    const free = new Map();
    const calls = this.rec.calls;
    this.bars = [];
    for (let i = 0; i < calls.method.length; i++) {
      const row = calls.from[i] >= 0 ? calls.from[i] : calls.to[i];
      const conn = this.rec.conn[row];
      const took = Math.max(calls.us[i], 0);
      const start = calls.from[i] >= 0 ? this.rec.t[calls.from[i]] : this.rec.t[row] - took;
      const end = calls.to[i] >= 0 ? this.rec.t[calls.to[i]] : start;
      if (!free.has(conn)) free.set(conn, [-1, -1, -1, -1]);
      const ends = free.get(conn);
      let depth = ends.findIndex((e) => e <= start);
      if (depth < 0) depth = ends.indexOf(Math.min(...ends));
      ends[depth] = Math.max(ends[depth], end);
      this.bars.push({ conn, start, end, depth, call: i, row });
    }
  }

  listen(canvas) {
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    };
    canvas.addEventListener('pointerdown', (event) => {
      if (event.button) return;
      canvas.setPointerCapture(event.pointerId);
      this.drag = { canvas, from: at(event).x, to: at(event).x };
    });
    canvas.addEventListener('pointermove', (event) => {
      const { x, y } = at(event);
      if (this.drag) { this.drag.to = x; this.draw(); return; }
      this.tip(event, this.nearest(canvas, x, y));
    });
    canvas.addEventListener('pointerup', (event) => {
      const drag = this.drag;
      this.drag = null;
      if (!drag) return;
      const { x, y } = at(event);
      if (Math.abs(drag.to - drag.from) > 5) {
        const times = [drag.from, drag.to].map((p) => this.time(canvas, p)).sort((a, b) => a - b);
        this.zoom(times);
      } else {
        const found = this.nearest(canvas, x, y);
        if (found) this.onPick(found.row);
        this.draw();
      }
    });
    canvas.addEventListener('pointercancel', () => { this.drag = null; this.draw(); });
    canvas.addEventListener('pointerleave', () => { $('tip').hidden = true; });
    canvas.addEventListener('dblclick', () => { this.whole(); this.changed(); });
    canvas.addEventListener('wheel', (event) => {
      const [from, to] = this.view;
      const sideways = event.shiftKey ? event.deltaY : event.deltaX;
      if (Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY)) {
        const move = (to - from) * sideways / 800;
        this.zoom([from + move, to + move]);
      } else {
        const pivot = this.time(canvas, at(event).x);
        const by = Math.exp(Math.max(-1, Math.min(1, event.deltaY / 300)));
        this.zoom([pivot - (pivot - from) * by, pivot + (to - pivot) * by]);
      }
      event.preventDefault();
    }, { passive: false });
  }

  zoom([from, to]) {
    const pad = Math.max(this.rec.end * 0.01, 1);
    const least = 20;
    if (to - from < least) { const middle = (from + to) / 2; from = middle - least / 2; to = middle + least / 2; }
    this.view = [Math.max(from, -pad), Math.min(to, this.rec.end + pad)];
    if (this.view[1] <= this.view[0]) this.whole();
    this.changed();
  }

  changed() { this.draw(); this.onRange(this.view); }

  margin(canvas) { return canvas.id === 'timeline' ? 92 : 56; }
  x(canvas, time) {
    const left = this.margin(canvas);
    return left + (time - this.view[0]) / (this.view[1] - this.view[0]) * (canvas.clientWidth - left - 8);
  }
  time(canvas, x) {
    const left = this.margin(canvas);
    return this.view[0] + (x - left) / (canvas.clientWidth - left - 8) * (this.view[1] - this.view[0]);
  }

  // Draws once a frame, however often it is asked for.
  draw() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.drawLanes();
      this.drawPlot($('latency'), this.latencies());
      this.drawPlot($('sizes'), this.frameSizes());
      const [from, to] = this.view;
      const all = from <= 0 && to >= this.rec.end;
      $('range').textContent = all ? 'All ' + show.span(this.rec.end)
        : show.clock(this.rec, Math.max(from, 0)) + ' – ' + show.clock(this.rec, Math.min(to, this.rec.end)) + ' (' + show.span(to - from) + ')';
    });
  }

  prepare(canvas, height) {
    const ratio = devicePixelRatio || 1, width = canvas.clientWidth;
    canvas.style.height = height + 'px';
    if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
    if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
    const g = canvas.getContext('2d');
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, width, height);
    g.font = '12px system-ui, sans-serif';
    return g;
  }

  static LANE = 50;
  // The scale of time stands above the lanes.
  static SCALE = 16;

  drawLanes() {
    const canvas = $('timeline'), rec = this.rec, lane = Timeline.LANE;
    const above = Timeline.SCALE, height = Math.max(this.lanes.length, 1) * lane + above;
    const g = this.prepare(canvas, height), width = canvas.clientWidth, left = this.margin(canvas);
    const columns = Math.max(1, Math.floor(width - left - 8));
    const index = new Int32Array(rec.conns.length).fill(-1);
    this.lanes.forEach((conn, i) => { index[conn] = i; });
    const [out, inn, wrong, call, dim, line] = ['out', 'in', 'wrong', 'call', 'dim', 'line'].map(show.colour);
    this.ticks(g, canvas, height);
    // Bytes of each column, lane and direction: however many frames there are, a column is drawn once.
    const bins = new Float64Array(this.lanes.length * columns * 2);
    for (let i = 0; i < rec.frameRow.length; i++) {
      const row = rec.frameRow[i];
      const column = Math.floor(this.x(canvas, rec.t[row]) - left);
      const at = index[rec.conn[row]];
      if (column < 0 || column >= columns || at < 0) continue;
      bins[(at * columns + column) * 2 + (rec.mark[row] === OUT ? 0 : 1)] += rec.frameLen[i];
    }
    this.lanes.forEach((conn, i) => {
      const top = above + i * lane, middle = top + 15;
      g.fillStyle = line;
      g.fillRect(0, top + lane - 1, width, 1);
      g.fillStyle = dim;
      g.fillText(rec.connName(conn) || 'no connection', 16, top + 19, left - 22);
      for (let column = 0; column < columns; column++) {
        const sent = bins[(i * columns + column) * 2], got = bins[(i * columns + column) * 2 + 1];
        if (sent) { const h = Timeline.tall(sent); g.fillStyle = out; g.fillRect(left + column, middle - h, 1, h); }
        if (got) { const h = Timeline.tall(got); g.fillStyle = inn; g.fillRect(left + column, middle, 1, h); }
      }
    });
    g.globalAlpha = 0.75;
    for (const bar of this.bars) {
      const at = index[bar.conn], from = this.x(canvas, bar.start), to = this.x(canvas, bar.end);
      if (at < 0 || to < left || from > width) continue;
      g.fillStyle = this.rec.calls.failed[bar.call] ? wrong : call;
      g.fillRect(Math.max(from, left), above + at * lane + 31 + bar.depth * 4, Math.max(to - Math.max(from, left), 1), 3);
    }
    g.globalAlpha = 1;
    g.fillStyle = wrong;
    let last = new Map();
    for (const row of this.wrongRows || (this.wrongRows = Array.from(rec.mark.keys()).filter((i) => rec.mark[i] === WRONG))) {
      const at = index[rec.conn[row]], x = Math.round(this.x(canvas, rec.t[row]));
      if (at < 0 || x < left || x > width || last.get(at) === x) continue;
      last.set(at, x);
      g.beginPath();
      const top = above + at * lane + 1;
      g.moveTo(x - 4, top); g.lineTo(x + 4, top); g.lineTo(x, top + 7);
      g.fill();
    }
    this.selection(g, canvas, height);
  }

  static tall(bytes) { return Math.max(2, Math.min(13, Math.log2(bytes / 16 + 1))); }

  ticks(g, canvas, height) {
    const [from, to] = this.view, left = this.margin(canvas), width = canvas.clientWidth;
    const rough = (to - from) / Math.max(1, (width - left) / 110);
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
    const digits = Math.max(0, Math.ceil(6 - Math.log10(step) - 1e-9));
    for (let time = Math.max(Math.ceil(from / step), 0) * step; time <= to; time += step) {
      const x = this.x(canvas, time);
      g.fillStyle = show.colour('line');
      g.fillRect(x, 0, 1, height);
      g.fillStyle = show.colour('dim');
      g.fillText('+' + (time / 1e6).toFixed(digits) + ' s', x + 3, 11);
    }
  }

  selection(g, canvas, height) {
    const drag = this.drag;
    if (!drag || drag.canvas !== canvas) return;
    g.globalAlpha = 0.25;
    g.fillStyle = show.colour('out');
    g.fillRect(Math.min(drag.from, drag.to), 0, Math.abs(drag.to - drag.from), height);
    g.globalAlpha = 1;
  }

  latencies() {
    const { rec } = this, calls = rec.calls;
    return this.points1 || (this.points1 = calls.method.map((_, i) => ({
      row: calls.to[i], y: calls.us[i], colour: calls.failed[i] ? 'wrong' : 'call',
      say: rec.strings[calls.method[i]] + '  ' + show.span(calls.us[i]),
    })).filter((p) => p.row >= 0 && p.y >= 0).map((p) => ({ ...p, t: rec.t[p.row] })));
  }

  frameSizes() {
    const { rec } = this;
    return this.points2 || (this.points2 = Array.from(rec.frameRow, (row, i) => ({
      row, t: rec.t[row], y: rec.frameLen[i], colour: rec.mark[row] === OUT ? 'out' : 'in',
      say: (rec.mark[row] === OUT ? 'sent ' : 'received ') + show.size(rec.frameLen[i]),
    })));
  }

  // The range of a plot's values, which are drawn on a logarithmic scale.
  scale(canvas, points) {
    let low = Infinity, high = -Infinity;
    for (const p of points) { const y = Math.max(p.y, 1); if (y < low) low = y; if (y > high) high = y; }
    if (low > high) return null;
    const from = Math.log10(low) - 0.1, to = Math.log10(high) + 0.1, height = 120;
    return { from, to, y: (value) => height - 6 - (Math.log10(Math.max(value, 1)) - from) / (to - from) * (height - 12), height };
  }

  drawPlot(canvas, points) {
    const g = this.prepare(canvas, 120), scale = this.scale(canvas, points), left = this.margin(canvas), width = canvas.clientWidth;
    canvas.scale_ = scale;
    canvas.points = points;
    g.fillStyle = show.colour('dim');
    if (!scale) { g.fillText('none recorded', left, 60); return; }
    const say = canvas.id === 'latency' ? show.span : show.size;
    // Spans go by tens, sizes by sixteens.
    const base = canvas.id === 'latency' ? 10 : 16, unit = Math.log10(base);
    for (let power = Math.ceil(scale.from / unit); power * unit <= scale.to; power++) {
      const y = scale.y(base ** power);
      g.fillStyle = show.colour('line');
      g.fillRect(left, y, width - left, 1);
      g.fillStyle = show.colour('dim');
      g.fillText(say(base ** power).replace(/\.0+ /, ' '), 0, y + 4, left - 4);
    }
    // A pixel is painted once: points on top of each other are many.
    const painted = new Set();
    g.globalAlpha = 0.8;
    for (const p of points) {
      const x = Math.round(this.x(canvas, p.t)), y = Math.round(scale.y(p.y));
      if (x < left || x > width) continue;
      const at = x * 128 + y;
      if (painted.has(at) && p.colour !== 'wrong') continue;
      painted.add(at);
      g.fillStyle = this.cache(p.colour);
      g.fillRect(x - 1, y - 1, 3, 3);
    }
    g.globalAlpha = 1;
    this.selection(g, canvas, 120);
  }

  cache(name) {
    const dark = matchMedia('(prefers-color-scheme: dark)').matches;
    if (!this.colours || this.colours.dark !== dark) this.colours = { dark };
    return this.colours[name] || (this.colours[name] = show.colour(name));
  }

  nearest(canvas, x, y) {
    let best = null, distance = 64;
    const look = (px, py, found) => {
      const d = (px - x) ** 2 + (py - y) ** 2;
      if (d < distance) { distance = d; best = found; }
    };
    if (canvas.id === 'timeline') {
      const { rec } = this, lane = Timeline.LANE, place = Math.floor((y - Timeline.SCALE) / lane), conn = this.lanes[place];
      if (conn === undefined) return null;
      const top = Timeline.SCALE + place * lane;
      for (const bar of this.bars) {
        if (bar.conn !== conn) continue;
        const from = this.x(canvas, bar.start), to = this.x(canvas, bar.end);
        const us = rec.calls.us[bar.call];
        look(Math.min(Math.max(x, from), to), top + 32 + bar.depth * 4,
          { row: bar.row, say: rec.strings[rec.calls.method[bar.call]] + (us >= 0 ? '  ' + show.span(us) : '  no answer') });
      }
      if (best && y - top > 28) return best;
      const near = [this.time(canvas, x - 4), this.time(canvas, x + 4)].map((time) => rec.lower(time));
      for (let row = near[0]; row < Math.min(near[1], near[0] + 5000); row++) {
        if (rec.conn[row] !== conn) continue;
        const high = rec.mark[row] === WRONG ? 4 : rec.mark[row] === OUT ? 10 : rec.mark[row] === IN ? 20 : 28;
        look(this.x(canvas, rec.t[row]), top + high, { row, say: rec.strings[rec.subject[row]] + '  ' + rec.details[row] });
      }
      return best;
    }
    if (!canvas.scale_) return null;
    for (const p of canvas.points) look(this.x(canvas, p.t), canvas.scale_.y(p.y), p);
    return best;
  }

  tip(event, found) {
    const tip = $('tip');
    tip.hidden = !found;
    if (!found) return;
    tip.textContent = show.clock(this.rec, this.rec.t[found.row]) + '  ' + found.say;
    tip.style.left = Math.min(event.clientX + 14, innerWidth - 380) + 'px';
    tip.style.top = event.clientY + 14 + 'px';
  }
}

'use strict';
// The recording, as columns. Nothing in it is ever put into the page as markup: all text goes through textContent.
const OUT = 0, IN = 1, NOTE = 2, WRONG = 3;
const $ = (id) => document.getElementById(id);

function element(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name === 'class') node.className = value;
    else if (value !== undefined && value !== false) node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

async function open() {
  const text = $('data').textContent.trim();
  const packed = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  $('data').remove();
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate'));
  return JSON.parse(await new Response(stream).text());
}

class Recording {
  constructor(data) {
    Object.assign(this, {
      title: data.title, tool: data.tool, start: data.start, layers: data.layers, strings: data.strings,
      conns: data.conns, raw: data.raw, findings: data.findings, sums: data.sums,
    });
    const rows = data.rows, n = rows.t.length;
    this.length = n;
    this.t = new Float64Array(n);
    let at = 0;
    for (let i = 0; i < n; i++) this.t[i] = at += rows.t[i];
    this.conn = Uint32Array.from(rows.conn);
    this.layer = Uint8Array.from(rows.layer);
    this.mark = Uint8Array.from(rows.mark);
    this.subject = Uint32Array.from(rows.subject);
    this.details = rows.details;
    // Frames: row and length. The direction is the row's mark.
    this.frameRow = Uint32Array.from(data.frames.row);
    this.frameLen = Uint32Array.from(data.frames.len);
    // Calls: row of the request (or -1), row of the answer (or -1), method, microseconds (-1: none came), lengths, failed.
    this.calls = data.calls;
    this.end = n ? this.t[n - 1] : 0;
    this.folded = null;
  }

  // What a search looks through, in lower case; made when somebody first searches.
  haystack(i) {
    if (!this.folded) {
      const names = this.strings.map((s) => s.toLowerCase());
      this.folded = { names, details: new Array(this.length) };
    }
    const { names, details } = this.folded;
    if (details[i] === undefined) details[i] = this.details[i].toLowerCase();
    return [names[this.subject[i]], details[i]];
  }

  // First row at or after a time.
  lower(time) {
    let low = 0, high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.t[middle] < time) low = middle + 1; else high = middle;
    }
    return low;
  }

  fields(i) { return JSON.parse(this.raw[i]); }

  connName(c) {
    const conn = this.conns[c];
    return conn.id === 0 ? '' : '#' + conn.id + (conn.dc ? ' DC' + conn.dc : '');
  }

  // Rows by the identifiers in them, per connection's message ids: made when a record is first looked at.
  byId(id) {
    if (!this.ids) {
      this.ids = new Map();
      for (let i = 0; i < this.length; i++) {
        for (const [, found] of this.raw[i].matchAll(/"([0-9a-f]{16})"/g)) {
          const rows = this.ids.get(found);
          if (!rows) this.ids.set(found, [i]);
          else if (rows[rows.length - 1] !== i) rows.push(i);
        }
      }
    }
    return this.ids.get(id) || [];
  }
}

const show = {
  // Time of day of microseconds since the start of the recording, by this computer's zone-free clock (UTC).
  clock(rec, us) {
    const d = new Date((rec.start + us / 1e6) * 1000);
    return d.toISOString().slice(11, 23);
  },
  span(us) {
    if (us < 1000) return us.toFixed(0) + ' µs';
    if (us < 1e6) return (us / 1e3).toFixed(us < 1e4 ? 2 : 1) + ' ms';
    if (us < 12e7) return (us / 1e6).toFixed(us < 1e7 ? 2 : 1) + ' s';
    const s = Math.round(us / 1e6);
    return Math.floor(s / 60) + ' min ' + (s % 60) + ' s';
  },
  size(bytes) {
    if (bytes < 1024) return bytes + ' B';
    const units = ['KiB', 'MiB', 'GiB', 'TiB'];
    let unit = -1;
    do { bytes /= 1024; unit++; } while (bytes >= 1024 && unit < 3);
    return bytes.toFixed(bytes < 10 ? 2 : 1) + ' ' + units[unit];
  },
  count: (n) => n.toLocaleString('en'),
  colour: (name) => getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim(),
};

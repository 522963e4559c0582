// The selected record: its fields, the tree of its body, the container that it travelled in, and the life of its message.
class Detail {
  constructor(rec, onPick) {
    Object.assign(this, { rec, onPick });
  }

  open(i) {
    const { rec } = this, fields = rec.fields(i), pane = $('detail');
    const rows = [['time', show.clock(rec, rec.t[i]) + '  (+' + show.span(Math.round(rec.t[i])) + ')'], ['layer', rec.layers[rec.layer[i]]]];
    const conn = rec.conns[rec.conn[i]];
    if (conn.id) rows.push(['connection', rec.connName(rec.conn[i]) + (conn.addr ? '  ' + conn.addr : '')]);
    const trees = [];
    for (const [name, value] of Object.entries(fields)) {
      if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
        // Objects of TL are trees; what merely stands together is told field by field.
        if (value._) trees.push([name, value]);
        else for (const [inner, one] of Object.entries(value)) rows.push([name + '.' + inner, String(one) + Detail.time(inner, one)]);
      }
      else rows.push([name, Array.isArray(value) ? value.map(String).join('  ') : String(value) + Detail.time(name, value)]);
    }
    const parts = [
      element('button', { type: 'button', class: 'close', onclick: () => { pane.hidden = true; } }, 'Close'),
      element('h2', {}, '→←·!'[rec.mark[i]] + ' ' + rec.strings[rec.subject[i]].trim()),
      element('p', { class: 'name' }, rec.details[i]),
      element('dl', {}, ...rows.flatMap(([name, value]) => [element('dt', {}, name), element('dd', {}, value)])),
    ];
    for (const [name, value] of trees) parts.push(element('h2', {}, name), Detail.tree(value, 0));
    const box = this.container(i, fields);
    if (box) parts.push(element('h2', {}, 'Container'), box);
    const life = this.life(i, fields);
    if (life) parts.push(element('h2', {}, 'Life of the message'), life);
    pane.replaceChildren(...parts);
    pane.hidden = false;
    pane.scrollTop = 0;
  }

  // A msg_id holds the time at which it was made, in its upper half ("Message Identifier (msg_id)").
  static time(name, value) {
    if (!/^[0-9a-f]{16}$/.test(value) || !/msg_id|^container$|^old$|^new$/.test(name)) return '';
    const seconds = parseInt(value.slice(0, 8), 16) + parseInt(value.slice(8), 16) / 2 ** 32;
    return '  (' + new Date(seconds * 1000).toISOString().replace('T', ' ').slice(0, 23) + ')';
  }

  // A body as a tree that opens; long lists open on demand only.
  static tree(value, depth) {
    const rows = [];
    const entries = Array.isArray(value) ? value.map((item, at) => [String(at), item]) : Object.entries(value).filter(([name]) => name !== '_');
    for (const [name, item] of entries) {
      if (item === null || typeof item !== 'object') {
        rows.push(element('div', {}, element('span', { class: 'name' }, name + ': '), typeof item === 'string' ? JSON.stringify(item) : String(item)));
        continue;
      }
      const title = Array.isArray(item) ? '[' + item.length + ']' : item._ || '{}';
      const node = element('details', {}, element('summary', {}, element('span', { class: 'name' }, name + ': '), title));
      const fill = () => { if (node.children.length === 1) node.append(Detail.tree(item, depth + 1)); };
      node.addEventListener('toggle', fill);
      if (depth < 2 && (!Array.isArray(item) || item.length <= 8)) { fill(); node.open = true; }
      rows.push(node);
    }
    const list = element('div', {}, ...rows);
    if (depth) return list;
    return element('details', { open: true }, element('summary', {}, Array.isArray(value) ? '[' + value.length + ']' : value._ || '{}'), list);
  }

  link(row, on, text) {
    const { rec } = this;
    return element('li', { class: on ? 'on' : undefined }, element('a', { href: '#', onclick: (event) => { event.preventDefault(); this.onPick(row); } },
      text || show.clock(rec, rec.t[row]) + '  ' + '→←·!'[rec.mark[row]] + ' ' + rec.strings[rec.subject[row]].trim() + '  ' + rec.details[row]));
  }

  container(i, fields) {
    const { rec } = this, id = fields.container || fields.msg_id;
    if (!id) return null;
    const inside = rec.byId(id).filter((row) => {
      const other = rec.fields(row);
      return other.container === id && other.msg_id !== id && rec.conn[row] === rec.conn[i];
    });
    if (!inside.length) return null;
    const head = rec.byId(id).find((row) => rec.fields(row).msg_id === id && !rec.fields(row).container && /message/i.test(rec.fields(row).kind));
    const list = element('ul', {}, ...inside.map((row) => this.link(row, row === i)));
    return element('ul', {}, head === undefined ? element('li', {}, 'msg_container ' + id) : this.link(head, head === i), element('li', {}, list));
  }

  life(i, fields) {
    const { rec } = this, id = fields.msg_id || fields.new || fields.req_msg_id;
    if (!id) return null;
    const rows = rec.byId(id);
    if (rows.length < 2) return null;
    const shown = rows.slice(0, 60).map((row) => this.link(row, row === i));
    if (rows.length > shown.length) shown.push(element('li', { class: 'name' }, 'and ' + (rows.length - shown.length) + ' more'));
    return element('ul', {}, ...shown);
  }
}

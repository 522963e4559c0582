let clearFilters = () => {};

function start(rec) {
  const detail = new Detail(rec, (row) => { tab('records'); records.reveal(row); });
  const records = new Records(rec, (row) => detail.open(row));
  const timeline = new Timeline(rec, (range) => {
    const all = range[0] <= 0 && range[1] >= rec.end;
    records.range = all ? null : range;
    records.apply();
  }, (row) => { tab('records'); records.reveal(row); });

  function tab(name) {
    for (const button of document.querySelectorAll('[role=tab]')) button.setAttribute('aria-selected', String(button.dataset.tab === name));
    for (const pane of document.querySelectorAll('.pane')) pane.hidden = pane.id !== name;
    if (name !== 'records') $('detail').hidden = true;
    if (name === 'records') records.draw();
  }
  for (const button of document.querySelectorAll('[role=tab]')) button.addEventListener('click', () => tab(button.dataset.tab));

  new Calls(rec, (name) => { $('search').value = name; search(); tab('records'); });
  drawFindings(rec, (row) => { tab('records'); records.reveal(row); });
  document.querySelector('[data-tab=calls]').textContent = 'Calls (' + show.count(rec.calls.method.length) + ')';
  document.querySelector('[data-tab=findings]').textContent = 'Findings (' + rec.findings.length + ')';

  const search = () => { records.filter.text = $('search').value; tab('records'); records.apply(); };
  let waiting = 0;
  $('search').addEventListener('input', () => { clearTimeout(waiting); waiting = setTimeout(search, 120); });
  $('wrong').addEventListener('change', () => { records.filter.wrong = $('wrong').checked; records.apply(); });
  rec.conns.forEach((conn, i) => { if (conn.id) $('conn').append(element('option', { value: i }, rec.connName(i))); });
  $('conn').addEventListener('change', () => { records.filter.conn = $('conn').value; records.apply(); });
  const seen = new Set(rec.layer);
  rec.layers.forEach((name, i) => {
    if (!seen.has(i)) return;
    const button = element('button', { type: 'button', 'aria-pressed': 'true', title: 'Show or hide the layer ' + name }, name);
    button.addEventListener('click', () => {
      const on = !records.filter.layers.delete(i);
      if (on) records.filter.layers.add(i);
      button.setAttribute('aria-pressed', String(on));
      records.apply();
    });
    $('layers').append(button);
  });
  clearFilters = () => {
    $('search').value = $('conn').value = '';
    $('wrong').checked = false;
    for (const button of $('layers').children) button.setAttribute('aria-pressed', 'true');
    Object.assign(records.filter, { text: '', conn: '', wrong: false, layers: new Set(rec.layers.map((_, i) => i)) });
    records.range = null;
    timeline.whole();
    timeline.draw();
    records.apply();
  };
  addEventListener('keydown', (event) => {
    if (event.key === '/' && document.activeElement !== $('search')) { $('search').focus(); event.preventDefault(); }
    if (event.key === 'Escape') { $('detail').hidden = true; }
  });

  const sum = (field) => rec.sums.reduce((all, one) => all + one[field], 0);
  const connections = rec.conns.filter((conn) => conn.id).length, calls = rec.calls.method.length;
  const failed = rec.calls.failed.reduce((all, one) => all + one, 0);
  const say = (n, one, more) => show.count(n) + ' ' + (n === 1 ? one : more);
  $('summary').textContent = [
    new Date(rec.start * 1000).toISOString().slice(0, 19).replace('T', ' ') + ' UTC', show.span(rec.end),
    say(connections, 'connection', 'connections'), say(rec.frameRow.length, 'frame', 'frames'),
    show.size(sum('sent')) + ' sent', show.size(sum('received')) + ' received',
    say(calls, 'call', 'calls') + (failed ? ', ' + failed + ' failed' : ''), say(rec.findings.length, 'finding', 'findings'), rec.tool,
  ].filter(Boolean).join(' · ');
  document.querySelector('main').hidden = false;
  records.apply();
  timeline.draw();
  return { rec, records, timeline, tab };
}

open().then((data) => { window.report = start(new Recording(data)); }).catch((error) => {
  $('summary').className = 'wrong';
  $('summary').textContent = 'The recording in this page could not be read: ' + error.message;
});

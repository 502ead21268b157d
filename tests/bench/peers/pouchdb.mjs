// SPDX-License-Identifier: Apache-2.0
// PouchDB 9 on LevelDB, its server express-pouchdb (what pouchdb-server runs). A document for each row,
// its id TERRITORY:TABLE:ID. Nothing waits for the disk: LevelDB is written without sync.
import express from 'express';
import expressPouch from 'express-pouchdb';
import PouchDB from 'pouchdb';
import { mkdirSync } from 'node:fs';
import http from 'node:http';
import { changed, newId, readJson, run, say, stdinEnded, timeChanges } from './common.mjs';

const BATCH = { batch_size: 1000, batches_limit: 10 };

function idOf(territory, table, id) {
  return `${String(territory).padStart(2, '0')}:${table}:${id}`;
}

function filter(doc, request) {
  return doc._id.startsWith(request.query.territory + ':');
}

async function fill(database, rows) {
  const docs = rows.map(([table, id, territory, , values]) =>
    ({ _id: idOf(territory, table, id), ...values }));
  for (let at = 0; at < docs.length; at += 2000) await database.bulkDocs(docs.slice(at, at + 2000));
}

function local(folder, name = 'replica') {
  mkdirSync(folder, { recursive: true });
  return new PouchDB(`${folder}/${name}`);
}

function remote(url, name = 'w') {
  return new PouchDB(`${url}/${name}`, { skip_setup: true });
}

async function count(database) {
  return (await database.info()).doc_count;
}

run({
  async fill(folder, path) {
    const rows = readJson(path);
    const w = local(folder, 'w');
    await fill(w, rows);
    await w.put({ _id: '_design/w', filters: { territory: filter.toString() } });
    await fill(local(folder, 'customer1'), rows.filter((row) => row[3] === 1));
    say({ rows: rows.length });
  },

  async serve(port, folder) {
    const Stored = PouchDB.defaults({ prefix: folder + '/' });
    const app = express();
    app.use('/', expressPouch(Stored, { mode: 'minimumForPouchDB' }));
    for (const name of ['w', 'customer1']) await new Stored(name).info(); // it serves what it saw opened
    http.createServer(app).listen(Number(port), '127.0.0.1', () => say({ ready: port }));
  },

  async first(url, folder) {
    const replica = local(folder);
    await replica.replicate.from(remote(url), BATCH);
    say({ rows: (await count(replica)) - 1 }); // the filter is a document, too
  },

  async part(url, folder) {
    const replica = local(folder);
    await replica.replicate.from(remote(url),
      { ...BATCH, filter: 'w/territory', query_params: { territory: '01' } });
    say({ rows: await count(replica) });
  },

  async record(folder, path, round, wPath) {
    const replica = local(folder);
    const territories = new Map(readJson(wPath).filter((row) => row[0] === 'calls')
      .map((row) => [row[1], row[2]]));
    const operations = readJson(path);
    const updates = operations.filter((operation) => operation[0] === 'u');
    const keys = updates.map((operation) =>
      idOf(territories.get(operation[2]), 'calls', operation[2]));
    const old = await replica.allDocs({ keys, include_docs: true });
    const docs = updates.map((operation, at) =>
      ({ ...old.rows[at].doc, ...changed(operation, round) }));
    for (const operation of operations.filter((one) => one[0] === 'i')) {
      const { id, ...values } = operation[2];
      docs.push({ _id: idOf(territories.get(values.call_id), operation[1],
        newId(operation, Number(round))), ...values });
    }
    const refused = (await replica.bulkDocs(docs)).filter((answer) => answer.error);
    say({ changes: docs.length - refused.length });
  },

  async deliver(url, folder) {
    const answer = await local(folder).replicate.to(remote(url), BATCH);
    say({ changes: answer.docs_written });
  },

  async again(url, folder) {
    const replica = local(folder);
    await replica.info(); // open
    const begin = performance.now();
    await replica.sync(remote(url), BATCH);
    await say({ ms: performance.now() - begin });
  },

  async rest(url, folder) {
    const live = local(folder).sync(remote(url), { ...BATCH, live: true, retry: true });
    live.once('paused', () => say({ idle: true }));
    await stdinEnded();
    process.exit(0);
  },

  async live(url, folder, receivers, rounds) {
    const replicas = [];
    for (let at = 0; at < Number(receivers); at++) {
      const replica = local(folder, `replica${at}`);
      await replica.replicate.from(remote(url, 'customer1'), BATCH);
      replica.setMaxListeners(50);
      replica.replicate.from(remote(url, 'customer1'), { ...BATCH, live: true, retry: true });
      replicas.push(replica);
    }
    let heard = () => {};
    for (const replica of replicas) {
      replica.changes({ live: true, since: 'now', include_docs: true })
        .on('change', (change) => heard(change.doc.note));
    }
    const master = remote(url, 'customer1');
    const found = await master.allDocs({ include_docs: true, startkey: '01:calls:',
      endkey: '01:calls;', limit: 1 });
    const call = found.rows[0].doc;
    const samples = await timeChanges(Number(rounds), replicas.length,
      async (note) => { call._rev = (await master.put({ ...call, note })).rev; },
      (note, arrived) => { heard = (seen) => { if (seen === note) arrived(); }; });
    await say({ samples });
    process.exit(0);
  },
});

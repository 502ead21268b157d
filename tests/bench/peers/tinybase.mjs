// SPDX-License-Identifier: Apache-2.0
// TinyBase 10: MergeableStores in memory on both sides, each kept as a file of JSON (persister-file), and
// its WebSocket server. Its server sends at most 16 MiB in one answer, which W is not; so W is a store
// for each territory, each a channel of one WebSocket. It has no acknowledgement: the server's program is
// asked what it has.
import { createMergeableStore } from 'tinybase';
import { createFilePersister } from 'tinybase/persisters/persister-file';
import { createWsSynchronizer } from 'tinybase/synchronizers/synchronizer-ws-client';
import { createWsServer } from 'tinybase/synchronizers/synchronizer-ws-server';
import { mkdirSync } from 'node:fs';
import readline from 'node:readline';
import { WebSocket, WebSocketServer } from 'ws';
import {
  changed, newId, pause, readJson, run, say, stdinEnded, timeChanges,
} from './common.mjs';

const WAIT_S = 60; // for an answer of the other side; the default of 1 s is too short on a busy machine
const SERVER_WAIT_S = 5;
const TERRITORIES = Array.from({ length: 20 }, (_, at) => at + 1);
const PATHS = [...TERRITORIES.map((one) => `w/${one}`), 'customer1'];

function complain(problem) {
  console.error(problem);
}

function fill(store, rows) {
  store.transaction(() => {
    for (const [table, id, , , values] of rows) store.setRow(table, String(id), values);
  });
}

function rowCount(store) {
  return store.getTableIds().reduce((sum, table) => sum + store.getRowCount(table), 0);
}

function persisterOf(store, folder, name) {
  mkdirSync(folder, { recursive: true });
  return createFilePersister(store, `${folder}/${name}.json`, complain);
}

async function loaded(folder) {
  const stores = [];
  for (const name of TERRITORIES) {
    const store = createMergeableStore();
    await persisterOf(store, folder, name).load();
    stores.push({ name, store });
  }
  return stores;
}

function dial(url, path, protocol) {
  return new WebSocket(`${url.replace('http', 'ws')}/${path}`, protocol);
}

// One channel after the other: an answer isn't sent while more than 16 MiB wait.
async function connect(url, stores) {
  const socket = dial(url, 'w', 'tinybase');
  for (const { name, store } of stores) {
    const synchronizer = await createWsSynchronizer(store, socket, String(name), WAIT_S, undefined,
      undefined, complain);
    await synchronizer.startSync();
  }
  return socket;
}

async function fetch(url, folder, territories, wanted) {
  const stores = territories.map((name) => ({ name, store: createMergeableStore() }));
  await connect(url, stores);
  const count = () => stores.reduce((sum, { store }) => sum + rowCount(store), 0);
  while (count() < wanted) await pause(2);
  for (const { name, store } of stores) await persisterOf(store, folder, name).save();
  await say({ rows: count() });
  process.exit(0);
}

function hasAll(stores, operations, round) {
  return operations.every((operation) => stores.some((store) => operation[0] === 'u'
    ? store.getCell('calls', String(operation[2]), 'note') === changed(operation, round).note
    : store.hasRow(operation[1], String(newId(operation, round)))));
}

// Says when the stores have all of a batch that stdin names; looks 2 ms after the last change.
function answerQuestions(stores) {
  let wanted = null;
  let timer = null;
  const look = () => {
    if (wanted !== null && hasAll(stores, wanted.operations, wanted.round)) {
      say({ has: wanted.round });
      wanted = null;
    }
  };
  for (const store of stores) {
    store.addDidFinishTransactionListener(() => {
      clearTimeout(timer);
      timer = setTimeout(look, 2);
    });
  }
  readline.createInterface({ input: process.stdin }).on('line', (line) => {
    const { path, round } = JSON.parse(line);
    wanted = { operations: readJson(path), round };
    say({ watching: round });
  });
}

async function untilCalls(store) {
  while (store.getRowCount('calls') === 0) await pause(2);
}

run({
  async fill(folder, path) {
    const rows = readJson(path);
    mkdirSync(`${folder}/w`, { recursive: true });
    for (const name of PATHS) {
      const store = createMergeableStore();
      const territory = Number(name.split('/')[1]);
      fill(store, rows.filter((row) => territory ? row[2] === territory : row[3] === 1));
      await persisterOf(store, folder, name).save();
    }
    say({ rows: rows.length });
  },

  async serve(port, folder) {
    const stores = PATHS.map((name) => [name, createMergeableStore()]);
    const persisters = Object.fromEntries(
      stores.map(([name, store]) => [name, persisterOf(store, folder, name)]));
    const listener = new WebSocketServer({ port: Number(port), host: '127.0.0.1' });
    createWsServer(listener, (name) => persisters[name], () => {}, SERVER_WAIT_S);
    for (const name of PATHS) {
      dial(`http://127.0.0.1:${port}`, name); // without a client it would forget the store
    }
    await pause(SERVER_WAIT_S * 1000 + 2000); // it asks these clients first, which say nothing
    answerQuestions(stores.map(([, store]) => store));
    say({ ready: port });
  },

  async first(url, folder, rows) {
    await fetch(url, folder, TERRITORIES, Number(rows));
  },

  async part(url, folder, rows) {
    await fetch(url, folder, [1], Number(rows));
  },

  async record(folder, path, round) {
    const stores = await loaded(folder);
    const operations = readJson(path);
    const ofCall = (id) => stores.find(({ store }) => store.hasRow('calls', String(id))).store;
    for (const { store } of stores) store.startTransaction();
    for (const operation of operations) {
      if (operation[0] === 'u') {
        ofCall(operation[2]).setPartialRow('calls', String(operation[2]), changed(operation, round));
      } else {
        const { id, ...values } = operation[2];
        ofCall(values.call_id).setRow(operation[1], String(newId(operation, Number(round))), values);
      }
    }
    for (const { name, store } of stores) {
      store.finishTransaction();
      await persisterOf(store, folder, name).save();
    }
    say({ changes: operations.length });
  },

  async deliver(url, folder) {
    await connect(url, await loaded(folder));
    await stdinEnded(); // the server is asked
    process.exit(0);
  },

  async again(url, folder) {
    const stores = await loaded(folder);
    const begin = performance.now();
    await connect(url, stores);
    await say({ ms: performance.now() - begin });
    process.exit(0);
  },

  async rest(url, folder) {
    await connect(url, await loaded(folder));
    say({ idle: true });
    await stdinEnded();
    process.exit(0);
  },

  async live(url, folder, receivers, rounds) {
    let heard = () => {};
    const dialled = async (store) => {
      const synchronizer = await createWsSynchronizer(store, dial(url, 'customer1'), WAIT_S,
        undefined, undefined, complain);
      await synchronizer.startSync();
      await untilCalls(store);
    };
    for (let at = 0; at < Number(receivers); at++) {
      const store = createMergeableStore();
      await persisterOf(store, folder, `replica${at}`).startAutoSave();
      await dialled(store);
      store.addCellListener('calls', null, 'note', (one, table, row, cell, note) => heard(note));
    }
    const master = createMergeableStore();
    await dialled(master);
    const call = master.getRowIds('calls')[0];
    const samples = await timeChanges(Number(rounds), Number(receivers),
      (note) => master.setCell('calls', call, 'note', note),
      (note, arrived) => { heard = (seen) => { if (seen === note) arrived(); }; });
    await say({ samples });
    process.exit(0);
  },
});

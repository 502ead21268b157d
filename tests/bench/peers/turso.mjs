// SPDX-License-Identifier: Apache-2.0
// Turso's embedded replica (@tursodatabase/sync); the server is `tursodb --sync-server` of the package
// turso, started by the bench on a file with W, and on one with customer 1's rows.
import { connect } from '@tursodatabase/sync';
import { mkdirSync } from 'node:fs';
import { changed, newId, readJson, run, say, stdinEnded, timeChanges } from './common.mjs';

const LONG_POLL_MS = 30000;

function open(url, folder, options = {}) {
  mkdirSync(folder, { recursive: true });
  return connect({ path: `${folder}/replica.db`, url, ...options });
}

async function one(database, sql, ...values) {
  return (await database.prepare(sql)).get(...values);
}

function statementOf(operation, round) {
  const values = changed(operation, round);
  const names = Object.keys(values);
  if (operation[0] === 'u') {
    return { sql: `UPDATE calls SET ${names.map((name) => `${name} = ?`)} WHERE id = ?`,
      values: [...Object.values(values), operation[2]] };
  }
  return { sql: `INSERT INTO ${operation[1]}(${names}) VALUES(${names.map(() => '?')})`,
    values: names.map((name) => name === 'id' ? newId(operation, Number(round)) : values[name]) };
}

run({
  async first(url, folder) {
    const database = await open(url, folder);
    let rows = 0;
    for (const table of ['customers', 'sites', 'assets', 'calls', 'worklogs', 'parts', 'partuse']) {
      rows += (await one(database, `SELECT count(*) AS n FROM ${table}`)).n;
    }
    say({ rows });
    await database.close();
  },

  async record(folder, path, round) {
    const database = await open(() => null, folder);
    const operations = readJson(path);
    await database.transactionAsync(async (transaction) => {
      for (const operation of operations) {
        const { sql, values } = statementOf(operation, round);
        await (await transaction.prepare(sql)).run(...values);
      }
    })();
    say({ changes: (await database.stats()).cdcOperations });
    await database.close();
  },

  async deliver(url, folder) {
    const database = await open(url, folder);
    await database.push();
    say({ left: (await database.stats()).cdcOperations });
    await database.close();
  },

  async again(url, folder) {
    const database = await open(url, folder);
    const begin = performance.now();
    await database.push();
    await database.pull();
    await say({ ms: performance.now() - begin });
    await database.close();
  },

  async rest(url, folder) {
    const database = await open(url, folder, { longPollTimeoutMs: LONG_POLL_MS });
    database.pull().catch(() => {});
    say({ idle: true });
    await stdinEnded();
    process.exit(0);
  },

  async live(url, folder, receivers, rounds) {
    let heard = () => {};
    const { id } = await (async () => {
      const first = await open(url, `${folder}/first`);
      return one(first, 'SELECT id FROM calls ORDER BY id LIMIT 1');
    })();
    for (let at = 0; at < Number(receivers); at++) {
      const database = await open(url, `${folder}/${at}`, { longPollTimeoutMs: LONG_POLL_MS });
      (async () => {
        for (;;) {
          if (await database.pull()) {
            heard((await one(database, 'SELECT note FROM calls WHERE id = ?', id)).note);
          }
        }
      })().catch((problem) => { console.error(problem); process.exit(1); });
    }
    const master = await open(url, `${folder}/master`);
    const samples = await timeChanges(Number(rounds), Number(receivers),
      async (note) => {
        await (await master.prepare('UPDATE calls SET note = ? WHERE id = ?')).run(note, id);
        await master.push();
      },
      (note, arrived) => { heard = (seen) => { if (seen === note) arrived(); }; });
    await say({ samples });
    process.exit(0);
  },
});

// SPDX-License-Identifier: Apache-2.0
// What the programs of all peers need. Each is run as
//
//   node PEER.mjs fill FOLDER W.json            W and, apart, customer 1's rows for the server
//   node PEER.mjs serve PORT FOLDER             the server, until it is ended
//   node PEER.mjs first URL FOLDER ROWS         an empty replica gets all of W
//   node PEER.mjs part URL FOLDER ROWS          ... territory 1, if the peer can filter
//   node PEER.mjs record FOLDER T2.json ROUND W.json   work done offline
//   node PEER.mjs deliver URL FOLDER            ... delivered
//   node PEER.mjs again URL FOLDER              a session that has nothing to do
//   node PEER.mjs rest URL FOLDER               a device at rest with W, until stdin ends
//   node PEER.mjs live URL FOLDER N ROUNDS      N devices with customer 1; a change is sent, ROUNDS times
//
// and answers with one line of JSON. W.json has an array for each row:
// [table, id, territory, customer, {column: value}], without what is NULL.
import { readFileSync } from 'node:fs';

// Resolves when all of it is in the pipe, which holds less than 5,000 samples: wait before an exit.
export function say(answer) {
  return new Promise((resolve) => process.stdout.write(JSON.stringify(answer) + '\n', resolve));
}

export function readJson(path) {
  return JSON.parse(readFileSync(path, 'utf8'));
}

export function stdinEnded() {
  return new Promise((resolve) => process.stdin.on('end', resolve).resume());
}

export function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

// The values of a round's batch: notes differ from those of the round before.
export function changed(operation, round) {
  const values = operation.at(-1);
  return operation[0] === 'u' ? { ...values, note: `${round} ${values.note}` } : values;
}

// Ids of new rows: no round makes those of another.
export function newId(operation, round) {
  return operation[2].id + round * 100000;
}

// Sends a change so many times, and waits each time until all receivers have it: milliseconds of
// each from before it was sent. `send(note)` resolves when the change is sent, `arrived(note)` when
// all have called the function that it is given.
export async function timeChanges(rounds, receivers, send, listen) {
  const samples = [];
  for (let round = 0; round < rounds; round++) {
    await pause(100 + Math.random() * 50 + receivers / 2);
    const note = `T4 ${round} ${Date.now()}`;
    const all = new Promise((resolve) => {
      let missing = receivers;
      let begin = 0;
      listen(note, () => {
        samples.push(Math.round((performance.now() - begin) * 1000) / 1000);
        missing -= 1;
        if (missing === 0) resolve();
      });
      begin = performance.now();
      send(note);
    });
    await all;
  }
  return samples;
}

export function run(commands) {
  const [name, ...rest] = process.argv.slice(2);
  commands[name](...rest).catch((problem) => {
    console.error(problem);
    process.exit(1);
  });
}

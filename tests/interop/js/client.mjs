// Checks a server with the JavaScript client library. See ../README.md.

import process from "node:process";
import { connect, errors, headers as newHeaders } from "@nats-io/transport-node";

// How long anything may take that should come at once, in milliseconds.
const PATIENCE = 20_000;

const text = new TextDecoder();

function expect(good, reason) {
  if (!good) throw new Error(reason);
}

function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not happen`)), PATIENCE);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// A subscription whose messages are collected.
function collect(nc, subject, options = {}) {
  const got = [];
  nc.subscribe(subject, {
    ...options,
    callback: (error, msg) => {
      if (!error) got.push(msg);
    },
  });
  return got;
}

async function publishSubscribe(nc) {
  const got = collect(nc, "js.pubsub");
  for (let i = 0; i < 100; i++) nc.publish("js.pubsub", new Uint8Array(i).fill(i));
  await nc.flush();
  expect(got.length === 100, `${got.length} of 100 messages`);
  got.forEach((msg, i) => {
    const same = msg.data.length === i && msg.data.every((byte) => byte === i);
    expect(same, `message ${i} has ${msg.data.length} other bytes`);
  });
}

async function wildcard(nc) {
  const star = collect(nc, "js.wild.*");
  const rest = collect(nc, "js.wild.>");
  for (const subject of ["js.wild", "js.wild.a", "js.wild.a.b", "js.wilder.a"]) nc.publish(subject);
  await nc.flush();
  const seen = (got) => got.map((msg) => msg.subject).join(" ");
  expect(seen(star) === "js.wild.a", `* got ${seen(star)}`);
  expect(seen(rest) === "js.wild.a js.wild.a.b", `> got ${seen(rest)}`);
}

async function headers(nc) {
  const got = collect(nc, "js.headers");
  const sent = newHeaders();
  sent.append("Fruit", "apple");
  sent.append("Fruit", "pear");
  sent.append("Colour", "red");
  nc.publish("js.headers", "payload", { headers: sent });
  await nc.flush();
  expect(got.length === 1, `${got.length} messages`);
  const [msg] = got;
  expect(msg.headers.values("Fruit").join(" ") === "apple pear", `Fruit: ${msg.headers.values("Fruit")}`);
  expect(msg.headers.get("Colour") === "red", `Colour: ${msg.headers.get("Colour")}`);
  expect(text.decode(msg.data) === "payload", `payload ${text.decode(msg.data)}`);
}

async function request(nc) {
  nc.subscribe("js.service", { callback: (_, msg) => msg.respond(`re: ${text.decode(msg.data)}`) });
  for (let i = 0; i < 20; i++) {
    const reply = await nc.request("js.service", `${i}`, { timeout: PATIENCE });
    expect(text.decode(reply.data) === `re: ${i}`, `reply ${text.decode(reply.data)} to ${i}`);
  }
}

async function noResponders(nc) {
  try {
    await nc.request("js.nobody", "", { timeout: PATIENCE });
  } catch (error) {
    const named = error instanceof errors.NoRespondersError || error.cause instanceof errors.NoRespondersError;
    expect(named || error.isNoResponders?.(), `${error}`);
    return;
  }
  throw new Error("a reply");
}

async function queue(nc) {
  const members = [1, 2, 3].map(() => collect(nc, "js.queue", { queue: "workers" }));
  for (let i = 0; i < 99; i++) nc.publish("js.queue", `${i}`);
  await nc.flush();
  expect(members.every((got) => got.length > 0), `members got ${members.map((got) => got.length)}`);
  const all = members.flat().map((msg) => text.decode(msg.data));
  expect(all.length === 99 && new Set(all).size === 99, `${all.length} messages, ${new Set(all).size} different`);
}

async function unsubscribe(nc) {
  const before = nc.stats().inMsgs;
  const got = collect(nc, "js.unsubscribe", { max: 5 });
  for (let i = 0; i < 10; i++) nc.publish("js.unsubscribe");
  await nc.flush();
  expect(got.length === 5, `${got.length} messages`);
  // In the statistics of the connection, because the library itself drops what comes after the fifth.
  const delivered = nc.stats().inMsgs - before;
  expect(delivered === 5, `the server delivered ${delivered}`);
}

async function large(nc) {
  const got = collect(nc, "js.large");
  const payload = Uint8Array.from({ length: 512 * 1024 }, (_, i) => (i * 31) % 256);
  nc.publish("js.large", payload);
  await nc.flush();
  expect(got.length === 1 && Buffer.compare(got[0].data, payload) === 0, "other bytes");
}

async function drain(nc) {
  const got = collect(nc, "js.drain");
  for (let i = 0; i < 100; i++) nc.publish("js.drain");
  await within(nc.drain(), "the end of the drain");
  expect(nc.isClosed(), "the connection did not close");
  expect(got.length === 100, `${got.length} of 100 messages handled`);
}

async function reconnect(nc) {
  const got = collect(nc, "js.reconnect");
  await nc.flush();
  const back = (async () => {
    for await (const status of nc.status()) if (status.type === "reconnect") return;
  })();
  console.log("restart");
  await within(back, "the reconnect");
  nc.publish("js.reconnect", "again");
  await within(nc.flush(), "a flush");
  expect(got.length === 1 && text.decode(got[0].data) === "again", `${got.length} messages`);
}

const checks = {
  publish_subscribe: publishSubscribe,
  wildcard,
  headers,
  request,
  no_responders: noResponders,
  queue,
  unsubscribe,
  large,
  drain,
  reconnect,
};

const [url] = process.argv.slice(2);
if (!url) {
  console.error("usage: client.mjs URL");
  process.exit(2);
}
let failed = false;
for (const [name, check] of Object.entries(checks)) {
  try {
    const nc = await connect({ servers: url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    try {
      await within(check(nc), "the check's end");
    } finally {
      await nc.close();
    }
    console.log(`ok ${name}`);
  } catch (error) {
    failed = true;
    console.log(`FAIL ${name} ${error}`);
  }
}
process.exit(failed ? 1 : 0);

// Says who gets in at a server with TLS. See ../README.md.

import path from "node:path";
import process from "node:process";
import { connect } from "@nats-io/transport-node";

const [url, folder] = process.argv.slice(2);
if (!folder) {
  console.error("usage: modes.mjs URL FOLDER");
  process.exit(2);
}
const file = (name) => path.join(folder, name);
const trusting = { caFile: file("ca.pem") };
const clients = {
  trusting: { tls: trusting },
  certified: { tls: { ...trusting, certFile: file("named.pem"), keyFile: file("named.key") } },
  first: { tls: { ...trusting, handshakeFirst: true } },
  plain: {},
};

async function exchange(options) {
  const nc = await connect({ servers: url, reconnect: false, timeout: 3_000, ...options });
  try {
    const sub = nc.subscribe("secret", { max: 1 });
    nc.publish("secret", "kept");
    for await (const msg of sub) {
      if (msg.string() !== "kept") throw new Error(`got ${msg.string()}`);
    }
  } finally {
    await nc.close();
  }
}

for (const [who, options] of Object.entries(clients)) {
  try {
    await exchange(options);
    console.log(`${who} yes`);
  } catch (error) {
    console.error(`${who}: ${error}`);
    console.log(`${who} no`);
  }
}
process.exit(0);

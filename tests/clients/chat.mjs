// Real clients against a running server: socket.io-client and axios, as front ends use them.
// Usage: node chat.mjs SCENARIO ADDRESS
// A scenario prints one line of JSON for each thing the caller waits for, and "done" at its end.

import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import axios from "axios";
import { io } from "socket.io-client";

const [scenario, address] = process.argv.slice(2);
const base = `http://${address}`;
const api = axios.create({ baseURL: base, validateStatus: () => true });
const unique = (stem) => `${stem}-${Math.random().toString(36).slice(2, 12)}`;

async function register(stem) {
  const name = unique(stem);
  const body = { name, email: `${name}@example.org`, password: "Secret12" };
  const { status, data } = await api.post("/api/auth/register", body);
  assert.equal(status, 201, JSON.stringify(data));
  const { token, user } = data.data;
  return { token, id: user._id, name, headers: { Authorization: `Bearer ${token}` } };
}

async function direct(one, other) {
  const path = "/api/chat/conversations/direct";
  const body = { participantId: other.id };
  const { status, data } = await api.post(path, body, { headers: one.headers });
  assert.equal(status, 201, JSON.stringify(data));
  return data.data._id;
}

async function say(user, conversationId, content) {
  const body = { conversationId, content };
  const { status, data } = await api.post("/api/chat/messages", body, { headers: user.headers });
  assert.equal(status, 201, JSON.stringify(data));
}

function socket(user, options) {
  return io(base, { auth: { token: user.token }, forceNew: true, ...options });
}

const once = (emitter, name) =>
  new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no ${name}`)), 20_000);
    emitter.once(name, (...args) => {
      clearTimeout(late);
      resolve(args[0]);
    });
  });

async function connected(user, options) {
  const client = socket(user, options);
  const greeted = once(client, "current_online_users");
  await once(client, "connect");
  await greeted;
  return client;
}

const say_line = (value) => console.log(JSON.stringify(value));

const transports = {
  polling: { transports: ["polling"], upgrade: false },
  websocket: { transports: ["websocket"] },
  upgrade: { transports: ["polling", "websocket"] },
};

// Each transport, in both directions, with acknowledgements.
async function every_transport() {
  const [ann, bob] = [await register("ann"), await register("bob")];
  const conversationId = await direct(ann, bob);
  for (const [name, options] of Object.entries(transports)) {
    const [anns, bobs] = [await connected(ann, options), await connected(bob, options)];
    if (name === "upgrade" && anns.io.engine.transport.name !== "websocket") {
      await once(anns.io.engine, "upgrade");
    }
    const expected = name === "polling" ? "polling" : "websocket";
    assert.equal(anns.io.engine.transport.name, expected, name);
    const typing = once(bobs, "user_typing");
    anns.emit("typing_start", { conversationId });
    assert.equal((await typing).userId, ann.id);
    const stopped = once(bobs, "user_stop_typing");
    anns.emit("typing_stop", { conversationId });
    await stopped;
    const told = once(bobs, "new_message");
    const message = { conversationId, content: `über ${name} 👋`, tempId: unique("t") };
    const answer = await anns.timeout(20_000).emitWithAck("send_message", message);
    assert.equal(answer.success, true, JSON.stringify(answer));
    assert.equal(answer.tempId, message.tempId);
    const { message: received } = await told;
    assert.equal(received.content, message.content);
    assert.equal(received._id, answer.message._id);
    const wrong = await anns.timeout(20_000).emitWithAck("send_message", { content: "x" });
    assert.equal(wrong.success, false);
    // a long one, which is more than a frame
    const long = { conversationId, content: "ä".repeat(2_000) };
    const longTold = once(bobs, "new_message");
    await anns.timeout(20_000).emitWithAck("send_message", long);
    assert.equal((await longTold).message.content, long.content);
    anns.disconnect();
    bobs.disconnect();
  }
}

// A bad token is refused by connect_error.
async function refused() {
  for (const options of Object.values(transports)) {
    const client = io(base, { auth: { token: "nonsense" }, forceNew: true, ...options });
    const error = await once(client, "connect_error");
    assert.equal(error.message, "Authentication error: Invalid token");
    client.disconnect();
  }
}

// Two hundred clients at once, over all transports: every one is told every message, once and in order.
async function crowd() {
  const ann = await register("ann");
  const others = await Promise.all(Array.from({ length: 9 }, (_, n) => register(`other${n}`)));
  const group = { name: "crowd", participants: others.map((user) => user.id) };
  const { data } = await api.post("/api/chat/conversations/group", group, { headers: ann.headers });
  const conversationId = data.data._id;
  const kinds = Object.values(transports);
  const clients = await Promise.all(
    Array.from({ length: 200 }, (_, n) => connected(others[n % others.length], kinds[n % 3])),
  );
  const seen = clients.map(() => []);
  const messages = 10;
  const all = clients.map(
    (client, n) =>
      new Promise((resolve, reject) => {
        setTimeout(() => reject(new Error(`client ${n} saw ${seen[n]}`)), 20_000).unref();
        client.on("new_message", ({ message }) => {
          seen[n].push(message.content);
          if (seen[n].length === messages) resolve();
        });
      }),
  );
  for (let n = 0; n < messages; n += 1) await say(ann, conversationId, String(n));
  await Promise.all(all);
  const expected = Array.from({ length: messages }, (_, n) => String(n));
  for (const list of seen) assert.deepEqual(list, expected);
  for (const client of clients) client.disconnect();
}

// The server goes and comes back: the client reconnects by itself and is told what it missed, once.
async function restart() {
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const [ann, bob] = [await register("ann"), await register("bob")];
  const conversationId = await direct(ann, bob);
  const options = { reconnectionDelay: 1_500, reconnectionDelayMax: 3_000, randomizationFactor: 0 };
  const clients = await Promise.all(
    [transports.polling, transports.websocket, transports.upgrade].map((transport) =>
      connected(bob, { ...transport, ...options }),
    ),
  );
  const seen = clients.map(() => []);
  clients.forEach((client, n) =>
    client.on("new_message", ({ message }) => seen[n].push(message.content)),
  );
  const told = Promise.all(clients.map((client) => once(client, "new_message")));
  await say(ann, conversationId, "before");
  await told;
  const gone = Promise.all(clients.map((client) => once(client, "disconnect")));
  const back = Promise.all(clients.map((client) => once(client, "connect")));
  say_line("connected");
  // the caller restarts the server now
  assert.equal((await lines.next()).value, "restarted");
  await gone;
  await say(ann, conversationId, "missed");
  await back;
  const deadline = Date.now() + 20_000;
  while (!seen.some((list) => list.includes("missed")) && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  // the first device that came back was handed what was missed; all of them hear what comes now
  const after = Promise.all(clients.map((client) => once(client, "new_message")));
  await say(ann, conversationId, "after");
  await after;
  for (const list of seen) assert.equal(list.filter((one) => one === "before").length, 1);
  const missed = seen.flat().filter((one) => one === "missed");
  assert.ok(missed.length >= 1, JSON.stringify(seen));
  for (const list of seen) assert.ok(list.filter((one) => one === "missed").length <= 1);
  for (const client of clients) client.disconnect();
}

// A server that echoes `echo`, and acknowledges `ack` with its arguments: binary both ways.
async function binary() {
  const bytes = Buffer.from([0, 1, 2, 250, 251, 255]);
  for (const options of Object.values(transports)) {
    const client = io(base, { forceNew: true, ...options });
    await once(client, "connect");
    const back = new Promise((resolve) => client.once("echo", (...args) => resolve(args)));
    client.emit("echo", 1, "two", { three: [bytes, true] });
    const [one, two, { three }] = await back;
    assert.deepEqual([one, two, three[1]], [1, "two", true]);
    assert.deepEqual(Buffer.from(three[0]), bytes);
    const acked = await new Promise((resolve) =>
      client.emit("ack", bytes, "x", (...args) => resolve(args)),
    );
    assert.deepEqual(Buffer.from(acked[0]), bytes);
    assert.equal(acked[1], "x");
    client.disconnect();
  }
}

const scenarios = { every_transport, refused, crowd, restart, binary };
await scenarios[scenario]();
say_line("done");
process.exit(0);

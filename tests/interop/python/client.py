"""Checks a server with the Python client library. See ../README.md."""

import asyncio
import sys

import nats
from nats.errors import NoRespondersError

# How long anything may take that should come at once, in seconds.
PATIENCE = 20


class Wrong(Exception):
    """What a check found."""


def expect(good, text):
    if not good:
        raise Wrong(text)


async def settle(nc):
    """Makes a round trip, after which every earlier delivery has come.

    The library's first PING may overtake publishes that wait in its own buffer; the second one cannot.
    """
    await nc.flush(PATIENCE)
    await nc.flush(PATIENCE)


async def nothing_more(nc, sub):
    await settle(nc)
    expect(sub.pending_msgs == 0, f"{sub.pending_msgs} deliveries too many")


async def publish_subscribe(nc):
    sub = await nc.subscribe("py.pubsub")
    for i in range(100):
        await nc.publish("py.pubsub", bytes([i]) * i)
    for i in range(100):
        msg = await sub.next_msg(PATIENCE)
        expect(msg.data == bytes([i]) * i, f"message {i} has {len(msg.data)} other bytes")
    await nothing_more(nc, sub)


async def wildcard(nc):
    star = await nc.subscribe("py.wild.*")
    rest = await nc.subscribe("py.wild.>")
    for subject in ["py.wild", "py.wild.a", "py.wild.a.b", "py.wilder.a"]:
        await nc.publish(subject)
    for sub, want in [(star, ["py.wild.a"]), (rest, ["py.wild.a", "py.wild.a.b"])]:
        got = [(await sub.next_msg(PATIENCE)).subject for _ in want]
        expect(got == want, f"{sub.subject} got {got}")
        await nothing_more(nc, sub)


async def headers(nc):
    # This library keeps one value per header name.
    sub = await nc.subscribe("py.headers")
    sent = {"Fruit": "apple", "Colour": "red"}
    await nc.publish("py.headers", b"payload", headers=sent)
    msg = await sub.next_msg(PATIENCE)
    expect(msg.headers == sent, f"headers {msg.headers}")
    expect(msg.data == b"payload", f"payload {msg.data}")


async def request(nc):
    async def answer(msg):
        await msg.respond(b"re: " + msg.data)

    await nc.subscribe("py.service", cb=answer)
    for i in range(20):
        ask = str(i).encode()
        reply = await nc.request("py.service", ask, timeout=PATIENCE)
        expect(reply.data == b"re: " + ask, f"reply {reply.data} to {ask}")


async def no_responders(nc):
    try:
        await nc.request("py.nobody", b"", timeout=PATIENCE)
    except NoRespondersError:
        return
    raise Wrong("a reply")


async def queue(nc):
    members = [await nc.subscribe("py.queue", "workers") for _ in range(3)]
    for i in range(99):
        await nc.publish("py.queue", str(i).encode())
    await settle(nc)
    seen = []
    for number, sub in enumerate(members):
        pending = sub.pending_msgs
        expect(pending > 0, f"member {number} got nothing")
        seen += [int((await sub.next_msg(PATIENCE)).data) for _ in range(pending)]
    expect(sorted(seen) == list(range(99)), f"{len(seen)} messages, {len(set(seen))} different")


async def unsubscribe(nc):
    sub = await nc.subscribe("py.unsubscribe")
    await sub.unsubscribe(limit=5)
    before = nc.stats["in_msgs"]
    for _ in range(10):
        await nc.publish("py.unsubscribe")
    for _ in range(5):
        await sub.next_msg(PATIENCE)
    await settle(nc)
    # In the statistics of the connection, because the library itself drops what comes after the fifth.
    got = nc.stats["in_msgs"] - before
    expect(got == 5, f"the server delivered {got}")


async def large(nc):
    sub = await nc.subscribe("py.large")
    payload = bytes(i * 31 % 256 for i in range(512 * 1024))
    await nc.publish("py.large", payload)
    msg = await sub.next_msg(PATIENCE)
    expect(msg.data == payload, f"{len(msg.data)} other bytes")


async def drain(nc):
    handled = 0
    release = asyncio.Event()

    async def handle(_):
        nonlocal handled
        await release.wait()
        handled += 1

    await nc.subscribe("py.drain", cb=handle)
    for _ in range(100):
        await nc.publish("py.drain")
    await settle(nc)
    draining = asyncio.create_task(nc.drain())
    release.set()
    await asyncio.wait_for(draining, PATIENCE)
    expect(nc.is_closed, "the connection did not close")
    expect(handled == 100, f"{handled} of 100 messages handled")


async def reconnect(nc, back):
    sub = await nc.subscribe("py.reconnect")
    await settle(nc)
    print("restart", flush=True)
    await asyncio.wait_for(back.wait(), PATIENCE)
    await nc.publish("py.reconnect", b"again")
    msg = await sub.next_msg(PATIENCE)
    expect(msg.data == b"again", f"got {msg.data}")


async def run(check, url):
    """One check on a connection of its own."""
    back = asyncio.Event()

    async def reconnected():
        back.set()

    async def quiet(_):
        """A restart makes errors that are expected."""

    nc = await nats.connect(
        url,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.05,
        reconnected_cb=reconnected,
        error_cb=quiet,
    )
    try:
        await (check(nc, back) if check is reconnect else check(nc))
    finally:
        if not nc.is_closed:
            await nc.close()


async def main(url):
    failed = False
    checks = [
        publish_subscribe,
        wildcard,
        headers,
        request,
        no_responders,
        queue,
        unsubscribe,
        large,
        drain,
        reconnect,
    ]
    for check in checks:
        try:
            await run(check, url)
            print(f"ok {check.__name__}", flush=True)
        except Exception as error:  # A check may fail in any way; the others still run.
            failed = True
            print(f"FAIL {check.__name__} {error!r}", flush=True)
    return failed


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: client.py URL")
    sys.exit(asyncio.run(main(sys.argv[1])))

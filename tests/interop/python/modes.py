"""Says who gets in at a server with TLS. See ../README.md."""

import asyncio
import pathlib
import ssl
import sys

import nats

from client import PATIENCE, expect


async def exchange(url, options):
    async def quiet(_):
        """Whoever is not let in is told so by an exception, too."""

    # A first attempt and no other.
    nc = await nats.connect(
        url, allow_reconnect=False, max_reconnect_attempts=0, connect_timeout=3, error_cb=quiet, **options
    )
    try:
        sub = await nc.subscribe("secret")
        await nc.publish("secret", b"kept")
        msg = await sub.next_msg(PATIENCE)
        expect(msg.data == b"kept", f"got {msg.data}")
    finally:
        await nc.close()


async def main(url, folder):
    def trusting(with_certificate=False):
        context = ssl.create_default_context(cafile=folder / "ca.pem")
        if with_certificate:
            context.load_cert_chain(folder / "named.pem", folder / "named.key")
        return {"tls": context, "tls_hostname": "localhost"}

    clients = {
        "trusting": trusting(),
        "certified": trusting(with_certificate=True),
        "first": trusting() | {"tls_handshake_first": True},
        "plain": {},
    }
    for who, options in clients.items():
        try:
            await asyncio.wait_for(exchange(url, options), PATIENCE)
            print(who, "yes", flush=True)
        except Exception as error:  # However it is told.
            print(f"{who}: {error!r}", file=sys.stderr)
            print(who, "no", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: modes.py URL FOLDER")
    asyncio.run(main(sys.argv[1], pathlib.Path(sys.argv[2])))

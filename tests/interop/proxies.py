"""Proxies that others wrote, in front of a local cluster: one of them, of the kind that is asked for.

    proxies.py CLUSTER_JSON mtproxy MODE SECRET [DOMAIN]     mtprotoproxy 1.0.6; MODE: plain, padded or tls
    proxies.py CLUSTER_JSON socks5 [USER PASSWORD]           pproxy 2.7.9
    proxies.py CLUSTER_JSON http [USER PASSWORD]             proxy.py 2.4.10

Prints the port that it listens on, on loopback, and runs until it is killed.

Clients are told addresses under which the DCs cannot be reached: 127.0.0.7, where nobody listens. What connects from here to there is
led to 127.0.0.1. So what arrives has come through the proxy. mtprotoproxy is told where the DCs are, as it brings a list of its own.
"""

import asyncio
import importlib.util
import json
import os
import pathlib
import signal
import socket
import sys
import sysconfig
import tempfile

NOWHERE, SOMEWHERE = "127.0.0.7", "127.0.0.1"


def lead_on():
    """Sends connections to where nobody listens to where the cluster does."""
    connect = socket.socket.connect

    def led(self, address):
        if isinstance(address, tuple) and address[0] == NOWHERE:
            address = (SOMEWHERE, *address[1:])
        return connect(self, address)

    socket.socket.connect = led


def mtproxy(cluster, mode, secret, domain="www.example.com"):
    config = {
        "PORT": 1,
        "USERS": {"test": secret},
        "SECURE_ONLY": mode == "padded",
        "TLS_ONLY": mode == "tls",
        "TLS_DOMAIN": domain,
        # Whoever is refused is cut off, rather than shown the web site.
        "MASK": False,
        "USE_MIDDLE_PROXY": False,
        "PREFER_IPV6": False,
        "GET_TIME_PERIOD": 0,
    }
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory, "config.py")
        path.write_text("".join(f"{name} = {value!r}\n" for name, value in config.items()))
        program = pathlib.Path(sysconfig.get_path("scripts"), "mtprotoproxy.py")
        sys.argv = [str(program), str(path)]
        spec = importlib.util.spec_from_file_location("mtprotoproxy", program)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.init_config()
    module.init_stats()
    # Where Python had it until 3.10.
    asyncio.streams.IncompleteReadError = asyncio.IncompleteReadError
    module.my_ip_info = {"ipv4": SOMEWHERE, "ipv6": None}
    # Its list is one of hosts that all have the same port, in the order of their numbers.
    dcs = sorted(cluster["dcs"], key=lambda dc: dc["id"])
    assert [dc["id"] for dc in dcs] == list(range(1, len(dcs) + 1))
    module.TG_DATACENTERS_V4 = [dc["port"] for dc in dcs]
    open_connection = module.open_connection_tryer

    def open_port(dc, _, **options):
        return open_connection(SOMEWHERE, dc, **options)

    module.open_connection_tryer = open_port

    async def main():
        # What its own `main` does, less what Python 3.10 took away.
        server = await asyncio.start_server(module.handle_client_wrapper, SOMEWHERE, 0, limit=module.get_to_tg_bufsize())
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    asyncio.run(main())


def socks5(_, *login):
    import pproxy

    lead_on()
    who = f"#{':'.join(login)}" if login else ""

    async def main():
        # It takes no port 0.
        with socket.create_server((SOMEWHERE, 0)) as free:
            port = free.getsockname()[1]
        # It asks the same client only once in a while, unless told otherwise.
        server = pproxy.Server(f"socks5://{SOMEWHERE}:{port}{who}")
        await server.start_server({"rserver": [], "verbose": lambda text: print(text, file=sys.stderr), "authtime": -1})
        print(port, flush=True)
        await asyncio.Event().wait()

    asyncio.run(main())


def http(_, *login):
    import proxy

    lead_on()
    # Its processes are to end with this one, however it ends.
    import ctypes

    libc = ctypes.CDLL(None)
    os.register_at_fork(after_in_child=lambda: libc.prctl(1, signal.SIGKILL))
    options = ["--hostname", SOMEWHERE, "--port", "0", "--num-workers", "1", "--num-acceptors", "1", "--log-level", "WARNING"]
    if login:
        options += ["--basic-auth", ":".join(login)]
    with proxy.Proxy(options) as running:
        print(running.flags.port, flush=True)
        signal.pause()


cluster = json.loads(pathlib.Path(sys.argv[1]).read_text())
{"mtproxy": mtproxy, "socks5": socks5, "http": http}[sys.argv[2]](cluster, *sys.argv[3:])

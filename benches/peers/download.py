#!/usr/bin/env python3
"""What a download costs: tdl, grammers-client and Telethon (with cryptg), the same file from the same cluster, one after the other.

    benches/peers/download.py [--mib 256] [--rounds 1] [--no-build] [--only tdl,tdl-full,grammers,telethon] [--json FILE]

Builds what it needs (release), starts one cluster (`tdl sandbox up`), signs an account up, uploads a file of random bytes, and lets each client
download it in turn, as often as there are rounds. For each client it prints the processor time per GiB (user and system, of the whole process,
start included), the wall time, and the most memory that it had. Every copy is compared with the original.

The figures that the project's budgets are about are those of `--mib 2048`. The clients run on the machine that the cluster runs on: wall time
says who waits for whom, processor time what each does. All three use one auth key, which tdl made: grammers knows the RSA keys of the public
data centres only. None of them runs while another does.
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PACKAGES = ("Telethon", "cryptg", "rsa", "pyasn1")
WANTED = {"grammers": 3.0, "telethon": 5.0}
MOST_MEMORY_MIB = 48


def run(*command, **options):
    return subprocess.run([str(part) for part in command], check=True, **options)


def build():
    run("cargo", "build", "--release", "--bin", "tdl", cwd=ROOT)
    run("cargo", "build", "--release", "--features", "download", "--bin", "grammers_download", cwd=HERE)


def target(directory):
    return Path(os.environ.get("CARGO_TARGET_DIR") or directory / "target")


def python():
    """A Python that has Telethon, in the versions that the interop tests use."""
    listed = (ROOT / "tests/interop/requirements.txt").read_text()
    versions = [line for line in listed.splitlines() if line.split("==")[0] in PACKAGES]
    home = target(ROOT) / "tmp" / "peers" / hashlib.sha256("\n".join(versions).encode()).hexdigest()[:16]
    if not (home / "ready").exists():
        shutil.rmtree(home, ignore_errors=True)
        run(sys.executable, "-m", "venv", home)
        run(home / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *versions)
        (home / "ready").touch()
    return home / "bin/python"


def measured(command, **options):
    """Runs a client to its end. Processor seconds, wall seconds, and MiB at most."""
    since = time.monotonic()
    stdin = options.pop("stdin_text", None)
    child = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, **options)
    if stdin is not None:
        child.stdin.write(stdin.encode())
    child.stdin.close()
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.monotonic() - since
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"{command[0]} ended with {child.returncode}")
    return usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Cluster:
    def __init__(self, directory, tdl):
        self.directory, self.tdl = directory, tdl
        # Nothing of the caller's settings.
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("TDL_")}
        command = [tdl, "sandbox", "up", "--quiet", "--dir", "box"]
        self.child = subprocess.Popen(command, cwd=directory, env=self.environment, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        ready = json.loads(self.child.stdout.readline())
        self.info = ready if "dcs" in ready else json.loads((directory / "box/cluster.json").read_text())

    def command(self, *arguments):
        return [self.tdl, "--sandbox", "box", *arguments]

    def run(self, *arguments, **options):
        return run(*self.command(*arguments), cwd=self.directory, env=self.environment, stdin=subprocess.DEVNULL, **options)

    def end(self):
        self.child.send_signal(signal.SIGINT)
        self.child.wait()


def original(path, mib):
    """Random bytes, in pieces: the file may be larger than the memory."""
    whole = hashlib.sha256()
    with open(path, "wb") as file:
        for _ in range(mib):
            piece = os.urandom(1 << 20)
            whole.update(piece)
            file.write(piece)
    return whole.hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=256, help="size of the file")
    parser.add_argument("--rounds", type=int, default=1, help="downloads by each client")
    parser.add_argument("--no-build", action="store_true", help="with the binaries that are there")
    parser.add_argument("--only", default="tdl,tdl-full,grammers,telethon", help="clients, with commas")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    if not arguments.no_build:
        build()
    tdl = target(ROOT) / "release" / "tdl"
    scratch = target(ROOT) / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as directory:
        directory = Path(directory)
        cluster = Cluster(directory, tdl)
        try:
            figures = compare(cluster, directory, names, arguments)
        finally:
            cluster.end()
    report(figures, arguments)


def compare(cluster, directory, names, arguments):
    quiet = {"stdout": subprocess.DEVNULL}
    cluster.run("login", "-T", "code", "--phone", "9996621234", "--code", "22222", "--first-name", "Ada", **quiet)
    whole = original(directory / "file.bin", arguments.mib)
    up = cluster.run("up", "--json", "-p", "file.bin", stdout=subprocess.PIPE)
    sent = json.loads(up.stdout.decode().splitlines()[-1])
    message = sent["message"]["id"] if isinstance(sent["message"], dict) else sent["message"]
    os.unlink(directory / "file.bin")
    cluster.run("chat", "export", "-o", "export.json", **quiet)
    session = cluster.run("session", "export", "--format", "telethon", "--reveal-key", stdout=subprocess.PIPE).stdout.decode().strip()
    dc, ip, port, key = read_session(session)

    out = directory / "out"
    figures = {name: [] for name in names}
    for at in range(arguments.rounds):
        for name in names:
            out.mkdir()
            warm(directory / "warm", arguments.mib)
            options = {"cwd": directory, "env": cluster.environment}
            if name.startswith("tdl"):
                # By itself it obfuscates; the others speak the plain full transport.
                transport = ["--transport", "full"] if name == "tdl-full" else []
                command = cluster.command("--quiet", *transport, "dl", "-f", "export.json", "-d", "out", "--restart")
            elif name == "grammers":
                command = [target(HERE) / "release" / "grammers_download", dc, ip, port, message, "out/file.bin"]
                options["stdin_text"] = key.hex()
            else:
                command = [python(), HERE / "telethon_download.py", ip, port, message, "out/file.bin"]
                options["stdin_text"] = session
            figure = measured(command, **options)
            (copy,) = [path for path in out.rglob("*") if path.is_file()]
            if digest(copy) != whole:
                raise SystemExit(f"{name}: the copy is not the original")
            figures[name].append(figure)
            shutil.rmtree(out)
            print(f"  round {at + 1}, {name}: {figure[0]:.2f} s of processor, {figure[1]:.2f} s, {figure[2]:.0f} MiB", flush=True)
    return figures


def warm(path, mib):
    """Has the memory that the next copy's pages will take touched before: a virtual machine pays for the first touch of each page, and whoever
    comes first would pay for all."""
    piece = bytes(1 << 20)
    with open(path, "wb") as file:
        for _ in range(mib + mib // 4):
            file.write(piece)
    os.unlink(path)


def read_session(text):
    """DC, address and auth key in a session string of Telethon's."""
    import base64
    import ipaddress
    import struct

    data = base64.urlsafe_b64decode(text[1:])
    dc, address, port, key = struct.unpack(">B4sH256s" if len(data) == 263 else ">B16sH256s", data)
    return dc, str(ipaddress.ip_address(address)), port, key


def report(figures, arguments):
    """Medians, and the least: what disturbs a round only ever adds. It adds more to whoever keeps the processor's units busy than to whoever
    waits for one instruction after the other, so the ratio of the least says more on a machine that is shared."""
    gib = arguments.mib / 1024
    print(f"{arguments.mib} MiB, {arguments.rounds} rounds, processor time per GiB; in brackets the least:")
    print(f"  {'':10} {'CPU s/GiB':>15} {'wall s':>8} {'peak MiB':>9}   CPU, as a multiple of tdl's   of tdl-full's")
    medians = {name: [statistics.median(column) for column in zip(*rows)] for name, rows in figures.items()}
    least = {name: min(row[0] for row in rows) for name, rows in figures.items()}
    for name, (cpu, wall, memory) in medians.items():
        multiples = [(cpu / medians[of][0], least[name] / least[of]) if of in medians else None for of in ("tdl", "tdl-full")]
        shown = [f"{at[0]:.2f} ({at[1]:.2f})" if at else "" for at in multiples]
        verdict = ""
        if name in WANTED and multiples[0]:
            verdict = f"   wanted: {WANTED[name]:.0f}, {'met' if multiples[0][0] >= WANTED[name] else 'NOT MET'}"
        if name == "tdl":
            verdict = f"   memory wanted: {MOST_MEMORY_MIB} MiB, {'met' if memory <= MOST_MEMORY_MIB else 'NOT MET'}"
        print(f"  {name:10} {f'{cpu / gib:.3f} ({least[name] / gib:.3f})':>15} {wall:>8.2f} {memory:>9.1f}   {shown[0]:26}   {shown[1]:13}{verdict}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"mib": arguments.mib, "figures": figures}, indent=1))


if __name__ == "__main__":
    main()

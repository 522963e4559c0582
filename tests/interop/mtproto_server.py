"""A small MTProto server for the tests, made of other people's parts.

Framing, envelope, message identifiers, salts and the session's checks are those of the PyPI package `mtproto`; the key exchange is
written here from the page "Creating an Authorization Key", with Python's integers for the mathematics. Nothing of `tdl` is in it.

It prints one line, `PORT MODULUS` (the modulus of its RSA key in hexadecimal, the exponent is 65537), serves connections until its
standard input is closed, and prints one line for each thing worth asserting.

    mtproto_server.py [--retries N]     answer the first N keys of a connection with dh_gen_retry
"""

import argparse
import hashlib
import os
import secrets
import socket
import struct
import sys
import threading
import time
import traceback

from mtproto import ConnectionRole
from mtproto.crypto import ige256_decrypt, ige256_encrypt
from mtproto.session import Session
from mtproto.session.messages import Data, MessagesAck, NeedAuthkey, NewSession, UnencryptedData
from mtproto.session.service_messages.bad_server_salt import BadServerSalt
from mtproto.session.service_messages.new_session_created import NewSessionCreated
from mtproto.transport.packets import EncryptedMessagePacket

PRIME = int(
    "C71CAEB9C6B1C9048E6C522F70F13F73980D40238E3E21C14934D037563D930F48198A0AA7C14058229493D22530F4DBFA336F6E0AC925139543AED44CCE7C37"
    "20FD51F69458705AC68CD4FE6B6B13ABDC9746512969328454F18FAF8C595F642477FE96BB2A941D5BCD1D4AC8CC49880708FA9B378E3C4F3A9060BEE67CF9A4"
    "A4A695811051907E162753B56B0F6B410DBA74D8A84B2A14B3144E0EF1284754FD17ED950D5965B4B9DD46582DB1178D169C6BC465B0D6FF9CA3928FEF5B9AE4"
    "E418FC15E83EBEA0F87FA9FF5EED70050DED2849F47BF959D956850CE929851F0D8115F635B105EE2E4E15D04B2454BF6F4FADF034B10403119CD8E3B92FCC5B",
    16,
)
G = 3
DC = 2


def sha1(*parts):
    return hashlib.sha1(b"".join(parts)).digest()


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def say(*words):
    print(*words, flush=True)


# --- numbers ------------------------------------------------------------------------------------------------------------------------


def is_prime(n):
    if n < 2 or n % 2 == 0:
        return n == 2
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(24):
        x = pow(secrets.randbelow(n - 3) + 2, odd, n)
        if x in (1, n - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


def random_prime(bits):
    while True:
        n = secrets.randbits(bits) | (3 << (bits - 2)) | 1
        if all(n % small for small in (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)) and is_prime(n):
            return n


class RsaKey:
    """A key pair of 2048 bits."""

    def __init__(self):
        while True:
            p, q = random_prime(1024), random_prime(1024)
            phi = (p - 1) * (q - 1)
            if p != q and phi % 65537:
                break
        self.n, self.d = p * q, pow(65537, -1, phi)
        self.fingerprint = sha1(tl_bytes(number(self.n)), tl_bytes(number(65537)))[-8:]

    def open_pad(self, block):
        """The 192 bytes inside what RSA_PAD made."""
        block = pow(int.from_bytes(block, "big"), self.d, self.n).to_bytes(256, "big")
        masked_key, encrypted = block[:32], block[32:]
        temp_key = bytes(a ^ b for a, b in zip(masked_key, sha256(encrypted)))
        decrypted = ige256_decrypt(encrypted, temp_key, bytes(32))
        padded, digest = decrypted[:192][::-1], decrypted[192:]
        if sha256(temp_key, padded) != digest:
            raise ValueError("RSA_PAD: the hash does not match")
        return padded


def number(n):
    return n.to_bytes((n.bit_length() + 7) // 8, "big")


# --- TL -----------------------------------------------------------------------------------------------------------------------------


def tl_bytes(data):
    head = bytes([len(data)]) if len(data) < 254 else b"\xfe" + len(data).to_bytes(3, "little")
    return head + data + bytes(-(len(head) + len(data)) % 4)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def raw(self, count):
        if self.at + count > len(self.data):
            raise ValueError("the message ends too soon")
        self.at += count
        return self.data[self.at - count : self.at]

    def unpack(self, form):
        return struct.unpack("<" + form, self.raw(struct.calcsize("<" + form)))[0]

    def bytes(self):
        start = self.at
        length = self.raw(1)[0]
        if length == 254:
            length = int.from_bytes(self.raw(3), "little")
        data = self.raw(length)
        self.raw(-(self.at - start) % 4)
        return data

    def expect(self, *ids):
        found = self.unpack("I")
        if found not in ids:
            raise ValueError(f"constructor {found:#010x} where one of {[hex(i) for i in ids]} was expected")
        return found


def expect(what, found, wanted):
    if found != wanted:
        raise ValueError(f"{what}: {found!r} is not {wanted!r}")


# --- key exchange -------------------------------------------------------------------------------------------------------------------


class Exchange:
    """The server's side: `step` takes the body of a message and gives the body of the answer."""

    def __init__(self, key, retries):
        self.key, self.retries, self.step, self.retry_id = key, retries, self.req_pq, 0
        self.auth_key = self.salt = None

    def req_pq(self, body):
        reader = Reader(body)
        reader.expect(0xBE7E8EF1)
        self.nonce = reader.raw(16)
        self.server_nonce = os.urandom(16)
        p, q = sorted((random_prime(31), random_prime(31)))
        self.p, self.q, self.pq = number(p), number(q), number(p * q)
        self.step = self.req_dh_params
        return (
            struct.pack("<I", 0x05162463) + self.nonce + self.server_nonce + tl_bytes(self.pq)
            + struct.pack("<II", 0x1CB5C415, 2) + os.urandom(8) + self.key.fingerprint
        )

    def req_dh_params(self, body):
        reader = Reader(body)
        reader.expect(0xD712E4BE)
        expect("nonces", (reader.raw(16), reader.raw(16)), (self.nonce, self.server_nonce))
        expect("factors", (reader.bytes(), reader.bytes()), (self.p, self.q))
        expect("fingerprint", reader.raw(8), self.key.fingerprint)
        inner = Reader(self.key.open_pad(reader.bytes()))
        form = inner.expect(0xA9F55F95, 0x56FDDF88)
        expect("pq", (inner.bytes(), inner.bytes(), inner.bytes()), (self.pq, self.p, self.q))
        expect("nonces", (inner.raw(16), inner.raw(16)), (self.nonce, self.server_nonce))
        self.new_nonce = inner.raw(32)
        expect("dc", inner.unpack("i"), DC)
        if form == 0x56FDDF88:
            say("temporary", inner.unpack("i"))

        self.a = secrets.randbits(2048)
        answer = (
            struct.pack("<I", 0xB5890DBA) + self.nonce + self.server_nonce + struct.pack("<i", G)
            + tl_bytes(number(PRIME)) + tl_bytes(number(pow(G, self.a, PRIME))) + struct.pack("<i", int(time.time()))
        )
        plain = sha1(answer) + answer
        plain += os.urandom(-len(plain) % 16)
        forth, back = sha1(self.new_nonce, self.server_nonce), sha1(self.server_nonce, self.new_nonce)
        self.aes = forth + back[:12], back[12:] + sha1(self.new_nonce, self.new_nonce) + self.new_nonce[:4]
        self.step = self.set_client_dh_params
        return struct.pack("<I", 0xD0E8075C) + self.nonce + self.server_nonce + tl_bytes(ige256_encrypt(plain, *self.aes))

    def set_client_dh_params(self, body):
        reader = Reader(body)
        reader.expect(0xF5045F1F)
        expect("nonces", (reader.raw(16), reader.raw(16)), (self.nonce, self.server_nonce))
        plain = ige256_decrypt(reader.bytes(), *self.aes)
        inner = Reader(plain[20:])
        inner.expect(0x6643B654)
        expect("nonces", (inner.raw(16), inner.raw(16)), (self.nonce, self.server_nonce))
        expect("retry_id", inner.unpack("Q"), self.retry_id)
        g_b = int.from_bytes(inner.bytes(), "big")
        expect("hash", plain[:20], sha1(inner.data[: inner.at]))
        expect("padding", len(inner.data) - inner.at < 16, True)
        expect("range of g_b", 1 << 1984 <= g_b <= PRIME - (1 << 1984), True)

        auth_key = pow(g_b, self.a, PRIME).to_bytes(256, "big")
        aux_hash = sha1(auth_key)[:8]
        verdict = 2 if self.retries else 1
        digest = sha1(self.new_nonce, bytes([verdict]), aux_hash)[4:]
        if self.retries:
            self.retries -= 1
            self.retry_id = struct.unpack("<Q", aux_hash)[0]
            say("retry")
            return struct.pack("<I", 0x46DC1FB9) + self.nonce + self.server_nonce + digest
        self.auth_key = auth_key
        self.salt = bytes(a ^ b for a, b in zip(self.new_nonce[:8], self.server_nonce[:8]))
        say("key", sha1(auth_key)[-8:].hex())
        return struct.pack("<I", 0x3BCBF734) + self.nonce + self.server_nonce + digest


# --- calls --------------------------------------------------------------------------------------------------------------------------


def call(session, msg_id, body):
    """Queues the answer to a request."""
    reader = Reader(body)
    method = reader.unpack("I")
    if method in (0x7ABE77EC, 0xF3427B8C):  # ping, ping_delay_disconnect
        say("ping")
        session.queue(struct.pack("<IQQ", 0x347773C5, msg_id, reader.unpack("Q")), response=True)
        return
    if method == 0xB921BD04:  # get_future_salts
        say("get_future_salts")
        now = int(time.time())
        salt = int.from_bytes(session.get_salt(), "little")
        one = struct.pack("<iiQ", now - 1800, now + 1800, salt)
        session.queue(struct.pack("<IQiI", 0xAE500895, msg_id, now, 1) + one, response=True)
        return
    if method == 0x1FB33026:  # help.getNearestDc
        say("help.getNearestDc")
        result = struct.pack("<I", 0x8E1A1775) + tl_bytes(b"NL") + struct.pack("<ii", DC, 4)
    else:
        say(f"method {method:#010x}")
        result = struct.pack("<Ii", 0x2144CA19, 400) + tl_bytes(b"INPUT_METHOD_INVALID_%d" % method)
    session.queue(struct.pack("<IQ", 0xF35C6D01, msg_id) + result, content_related=True, response=True)


def refuse_salt(session):
    """Answers the next packet if its salt is wrong. The package does so too, but leaves out the constructor and the session."""
    packet = session._conn.peek_packet()
    if not isinstance(packet, EncryptedMessagePacket) or packet.auth_key_id != session._auth_key_id:
        return
    packet = packet.decrypt(session._auth_key, ConnectionRole.CLIENT)
    if session.check_salt(packet.salt):
        return
    say("bad_server_salt")
    session._conn.next_event()
    session._session_id = packet.session_id
    salt = int.from_bytes(session.get_salt(), "little", signed=True)
    answer = BadServerSalt(bad_msg_id=packet.message_id, bad_msg_seqno=packet.seq_no, error_code=48, new_server_salt=salt)
    session.queue(answer.write(), response=True)


def serve(connection, key, retries):
    session, exchange = Session(ConnectionRole.SERVER), Exchange(key, retries)
    while data := connection.recv(65536):
        session.data_received(data)
        while True:
            left = len(session._conn._rx_buffer)
            refuse_salt(session)
            event = session.next_event()
            if isinstance(event, UnencryptedData):
                connection.sendall(session.send_plain(exchange.step(event.data)))
                if exchange.auth_key is not None:
                    session.set_auth_key(exchange.auth_key)
                    session.set_salts([(exchange.salt, int(time.time()) - 1800)])
            elif isinstance(event, NeedAuthkey):
                # The package would hand out the same packet for ever once the key is set.
                raise ValueError("a message for another key")
            elif isinstance(event, NewSession):
                say("session")
                salt = int.from_bytes(session.get_salt(), "little", signed=True)
                created = NewSessionCreated(first_msg_id=event.first_message_id, unique_id=1, server_salt=salt)
                session.queue(created.write(), content_related=True)
            elif isinstance(event, MessagesAck):
                say("acks")
            elif isinstance(event, Data):
                call(session, event.message_id, event.data)
            elif event is None and len(session._conn._rx_buffer) == left and not session._received:
                break
        if exchange.auth_key is not None:
            connection.sendall(session.send(None))


def serve_loudly(connection, *rest):
    try:
        with connection:
            serve(connection, *rest)
    except Exception as error:
        say("error", type(error).__name__, error)
        traceback.print_exc()


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--retries", type=int, default=0)
    options = arguments.parse_args()
    key = RsaKey()
    listener = socket.create_server(("127.0.0.1", 0))
    say(listener.getsockname()[1], f"{key.n:x}")

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve_loudly, args=(connection, key, options.retries), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()

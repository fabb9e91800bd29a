#!/usr/bin/env python3
"""Reads a Lifeboat backup without Lifeboat; docs/format.md describes what it reads.

Needs Python 3.9 or newer with the packages cryptography and zstandard (0.22 or newer), and a vault in a folder (of an
S3 store: a copy made with any S3 client). Writes into a new folder: data/, tablespaces/<oid>/, config/ and wal/. What an
incremental or differential point stands on is read along with it.

  read-backup.py --vault DIR --source shop --list
  read-backup.py --vault DIR --source shop --point POINT --root-key root.key --signer signing.pub --into NEW_DIR
"""
import argparse
import base64
import hashlib
import hmac
import json
import os
import re
import shutil
import struct
import sys

import zstandard
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FORMAT = "1"
LONGEST_MANIFEST = 1 << 30
FINAL_FRAME = 0xFFFFFFFF
KINDS = ("full", "incremental", "differential")
# First word of a file of changed blocks.
INCREMENT_MAGIC = 0xD3AE1F0D


class Refused(Exception):
    """Something is not what it must be: one line for a person."""


# CRC-32C (RFC 3720, appendix B.4). Lanes of LANE bytes are taken together: each step is a few operations of the
# interpreter on one byte of every lane, which is what makes it fast enough without another package.

LANE = 256
TABLE = []
for value in range(256):
    for _ in range(8):
        value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    TABLE.append(value)
PLANES = [bytes((value >> shift) & 255 for value in TABLE) for shift in (0, 8, 16, 24)]


def times(operator, state):
    result = 0
    while state:
        lowest = state & -state
        result ^= operator[lowest.bit_length() - 1]
        state ^= lowest
    return result


def zeros(count):
    """What `count` zero bytes do to a state, as the images of its 32 bits."""
    result = [1 << bit for bit in range(32)]
    power = [(one >> 8) ^ TABLE[one & 255] for one in result]
    while count:
        if count & 1:
            result = [times(power, column) for column in result]
        power = [times(power, column) for column in power]
        count >>= 1
    return result


def byte_tables(operator):
    return [[times(operator, byte << shift) for byte in range(256)] for shift in (0, 8, 16, 24)]


NEXT_LANE = byte_tables(zeros(LANE))


def crc32c(data):
    if len(data) < 16 * LANE:
        state = 0xFFFFFFFF
        for byte in data:
            state = (state >> 8) ^ TABLE[(state ^ byte) & 255]
        return state ^ 0xFFFFFFFF
    # Zeros in front do not change a state of zero; the usual start value is the same as inverting the first 4 bytes.
    start = bytes(byte ^ 255 for byte in data[:4])
    padded = b"".join((bytes(-len(data) % LANE), start, data[4:]))
    lanes = len(padded) // LANE
    p0 = p1 = p2 = p3 = 0
    for at in range(LANE):
        index = (p0 ^ int.from_bytes(padded[at::LANE], "little")).to_bytes(lanes, "little")
        t0, t1, t2, t3 = (int.from_bytes(index.translate(plane), "little") for plane in PLANES)
        p0, p1, p2, p3 = p1 ^ t0, p2 ^ t1, p3 ^ t2, t3
    words = bytearray(4 * lanes)
    for at, plane in enumerate((p0, p1, p2, p3)):
        words[at::4] = plane.to_bytes(lanes, "little")
    a, b, c, d = NEXT_LANE
    state = 0
    for (lane,) in struct.iter_unpack("<I", words):
        state = a[state & 255] ^ b[(state >> 8) & 255] ^ c[(state >> 16) & 255] ^ d[state >> 24] ^ lane
    return state ^ 0xFFFFFFFF


def crc32c_joined(first, second, second_bytes):
    return times(zeros(second_bytes), first) ^ second


# One AWS Encryption SDK message, version 2, suite 0478 (docs/format.md "Encryption").


class Cursor:
    def __init__(self, data, place):
        self.data, self.place, self.at = data, place, 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise Refused(f"{self.place} is cut at {len(self.data)} bytes")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, count):
        return int.from_bytes(self.take(count), "big")

    def field(self):
        return self.take(self.number(2))


def derived(data_key, message_id, info):
    return HKDF(hashes.SHA512(), 32, message_id, info).derive(data_key)


def context_of(serialised, place):
    cursor = Cursor(serialised, place)
    return {cursor.field().decode(): cursor.field().decode() for _ in range(cursor.number(2))} if serialised else {}


def say(context):
    return " ".join(f"{name}={context[name]}" for name in sorted(context))


def open_message(data, place, context, unwrap):
    """The plaintext, once context, commitment, header, every frame, their order and the end are what they must be."""
    cursor = Cursor(data, place)
    if (cursor.number(1), cursor.number(2)) != (2, 0x0478):
        raise Refused(f"{place} is no message of version 2 and suite 0478")
    message_id = cursor.take(32)
    serialised = cursor.field()
    found, wanted = context_of(serialised, place), {"format": FORMAT, **context}
    if found != wanted:
        raise Refused(f"{place} is something else: expected {say(wanted)}, found {say(found)}")
    wrapped = [(cursor.field().decode(), cursor.field(), cursor.field()) for _ in range(cursor.number(2))]
    framed, frame_bytes = cursor.number(1), cursor.number(4)
    if framed != 2 or frame_bytes == 0:
        raise Refused(f"{place} is not framed")
    commitment = cursor.take(32)
    header = data[: cursor.at]
    try:
        data_key = unwrap(wrapped, serialised, place)
    except InvalidTag:
        raise Refused(f"{place} names a key that does not open it") from None
    if not hmac.compare_digest(derived(data_key, message_id, b"COMMITKEY"), commitment):
        raise Refused(f"{place} is bound to another data key")
    cipher = AESGCM(derived(data_key, message_id, b"\x04\x78DERIVEKEY"))
    try:
        cipher.decrypt(bytes(12), cursor.take(16), header)
        return b"".join(frames(cursor, cipher, message_id, frame_bytes))
    except InvalidTag:
        raise Refused(f"{place} is damaged or was changed: its bytes are not authentic") from None


def frames(cursor, cipher, message_id, frame_bytes):
    sequence, final = 0, False
    while not final:
        sequence += 1
        found = cursor.number(4)
        final = found == FINAL_FRAME
        if (cursor.number(4) if final else found) != sequence:
            raise Refused(f"{cursor.place} has its frames in another order")
        iv = cursor.take(12)
        length = cursor.number(4) if final else frame_bytes
        if length > frame_bytes:
            raise Refused(f"{cursor.place} has a frame of {length} bytes, longer than {frame_bytes}")
        label = b"AWSKMSEncryptionClient Final Frame" if final else b"AWSKMSEncryptionClient Frame"
        associated = message_id + label + struct.pack(">IQ", sequence, length)
        yield cipher.decrypt(iv, cursor.take(length + 16), associated)
    if cursor.at != len(cursor.data):
        raise Refused(f"{cursor.place} has {len(cursor.data) - cursor.at} bytes behind its end")


def unwrap_aes(key, name, wrapped, serialised):
    """wrapped: provider info (name, tag bits, IV bytes, IV) and the encrypted data key with its tag."""
    info, encrypted = wrapped
    tag_bits, iv_bytes = struct.unpack(">II", info[len(name) : len(name) + 8])
    if (tag_bits, iv_bytes, len(info)) != (128, 12, len(name) + 20):
        raise ValueError("a data key wrapped in another way")
    return AESGCM(key).decrypt(info[-12:], encrypted, serialised)


# Keys.


def fingerprint(data):
    return hashlib.sha256(data).hexdigest()[:16]


def public_id(key):
    return fingerprint(key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


def root_opener(path):
    try:
        key = base64.b64decode(read_file(path).strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise Refused(f"{path} is no root key: expected 32 bytes in base64")
    name = fingerprint(key)
    return "lifeboat-root", name, lambda info, encrypted, aad: unwrap_aes(key, name, (info, encrypted), aad)


def recovery_opener(path):
    try:
        key = serialization.load_pem_private_key(read_file(path), password=None)
    except (ValueError, TypeError):
        raise Refused(f"{path} is no private key in PEM, or one with a passphrase") from None
    if not isinstance(key, RSAPrivateKey):
        raise Refused(f"{path} is no RSA key")
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    return "lifeboat-recovery", public_id(key.public_key()), lambda info, encrypted, aad: key.decrypt(encrypted, oaep)


def read_signer(path):
    try:
        key = serialization.load_pem_public_key(read_file(path))
    except ValueError:
        raise Refused(f"{path} is no public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise Refused(f"{path} is no Ed25519 key")
    return public_id(key), key


class Vault:
    def __init__(self, folder, source, opener, signers):
        self.folder, self.source, self.opener, self.signers = folder, source, opener, signers
        self.keks = {}

    def read(self, key):
        try:
            return read_file(os.path.join(self.folder, key))
        except FileNotFoundError:
            raise Refused(f"{key} is not in the vault") from None

    def names(self, key):
        """Only a folder that is not there is an empty one: any other trouble is told."""
        try:
            return sorted(os.listdir(os.path.join(self.folder, key)))
        except FileNotFoundError:
            return []

    def decode(self, data, place, longest, **context):
        compressed = open_message(data, place, {"source": self.source, **context}, self.unwrap)
        try:
            if zstandard.frame_content_size(compressed) > longest:
                raise Refused(f"{place} is longer than {longest} bytes")
            decompressor = zstandard.ZstdDecompressor()
            return decompressor.decompress(compressed, max_output_size=max(longest, 1), allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise Refused(f"{place} is not one zstd frame of at most {longest} bytes: {error}") from None

    def unwrap(self, wrapped, serialised, place):
        for provider, info, encrypted in wrapped:
            name = info[:-20].decode()
            match = re.fullmatch(re.escape(self.source) + r"-\d{4}-\d\d/[1-9]\d{0,8}", name)
            if provider == "lifeboat-kek" and match:
                if name not in self.keks:
                    self.keks[name] = self.read_kek(*name.split("/"))
                return unwrap_aes(self.keks[name], name, (info, encrypted), serialised)
        raise Refused(f"{place} is not encrypted with a key of {self.source}")

    def read_kek(self, scope, version):
        place = f"{self.source}/keys/{scope}.{version}.key"
        context = {"artefact": "key", "source": self.source, "scope": scope, "version": version}
        return open_message(self.read(place), place, context, self.unwrap_kek)

    def unwrap_kek(self, wrapped, serialised, place):
        provider, name, unwrap = self.opener
        for found, info, encrypted in wrapped:
            if found == provider and info[: len(name)].decode() == name:
                try:
                    return unwrap(info, encrypted, serialised)
                except ValueError:
                    raise Refused(f"{place} is damaged or was changed") from None
        owners = ", ".join(f"{found}/{info[:16].decode()}" for found, info, _ in wrapped)
        raise Refused(f"{place} cannot be opened with {provider}/{name}: it was made for {owners}")

    # Points.

    def envelope(self, point):
        """The encrypted manifest, once the signature fits; None for a point that was withdrawn."""
        place = f"{self.source}/points/{point}/manifest"
        data = self.read(place)
        names = ("format", "source", "point", "signer", "signature", "body")
        try:
            sealed = json.loads(data)
            exact = json.dumps({name: sealed[name] for name in names}, separators=(",", ":"), ensure_ascii=False)
            body = base64.b64decode(sealed["body"], validate=True)
            signature = base64.b64decode(sealed["signature"], validate=True)
        except (ValueError, KeyError, TypeError):
            raise Refused(f"{place} is not a signed manifest") from None
        if exact.encode() != data or base64.b64encode(body).decode() != sealed["body"]:
            raise Refused(f"{place} is not a signed manifest in its one form")
        if sealed["format"] not in ("lifeboat-manifest/1", "lifeboat-withdrawn/1"):
            raise Refused(f"{place} has format {sealed['format']}: expected lifeboat-manifest/1")
        if (sealed["source"], sealed["point"]) != (self.source, point):
            raise Refused(f"{place} is the manifest of {sealed['source']}/{sealed['point']}")
        if self.signers is not None:
            clear = [sealed[name] for name in names[:4]] + [hashlib.sha256(body).hexdigest()]
            self.check_signature(place, sealed["signer"], signature, "\n".join(clear).encode())
        return None if sealed["format"] == "lifeboat-withdrawn/1" else body

    def check_signature(self, place, signer, signature, signed):
        if signer not in self.signers:
            raise Refused(f"{place} is signed by {signer or 'nobody'}: expected {' or '.join(self.signers)}")
        try:
            self.signers[signer].verify(signature, signed)
        except InvalidSignature:
            raise Refused(f"{place} has a signature that does not fit") from None

    def manifest(self, point):
        body = self.envelope(point)
        if body is None:
            raise Refused(f"point {point} was withdrawn: it never became a backup")
        place = f"{self.source}/points/{point}/manifest"
        manifest = json.loads(self.decode(body, place, LONGEST_MANIFEST, artefact="manifest", point=point))
        check_manifest(manifest, self.source, point)
        return manifest

    def chain(self, point):
        """Manifests of all that a point stands on, the full one first, and its own."""
        chain = [self.manifest(point)]
        while chain[0]["kind"] != "full":
            child = chain[0]
            if child["parent"] in [manifest["point"] for manifest in chain]:
                raise Refused(f"point {child['point']} stands on itself")
            parent = self.manifest(child["parent"])
            if parent["identity"]["systemId"] != child["identity"]["systemId"]:
                raise Refused(f"point {parent['point']} is of another cluster than {child['point']}, which stands on it")
            chain.insert(0, parent)
        return chain

    def part(self, point, part):
        number = part["number"]
        place = f"{self.source}/points/{point}/p{number:06d}"
        data = self.read(place)
        if len(data) != part["storedBytes"]:
            raise Refused(f"{place} has {len(data)} bytes: expected {part['storedBytes']}")
        if hashlib.sha256(data).hexdigest() != part["sha256"]:
            raise Refused(f"{place} is damaged or was changed: its SHA-256 is another")
        plain = self.decode(data, place, part["bytes"], artefact="part", point=point, part=str(number))
        if len(plain) != part["bytes"]:
            raise Refused(f"{place} holds {len(plain)} bytes: expected {part['bytes']}")
        return plain


def check_manifest(manifest, source, point):
    """That it may be followed: names fit, no path leaves its tree, every slice lies in a part, files add up."""
    if (manifest["format"], manifest["source"], manifest["point"]) != ("lifeboat-manifest/1", source, point):
        raise Refused(f"manifest inside of {source}/{point} is another one")
    kind, parent = manifest["kind"], manifest.get("parent")
    if kind not in KINDS:
        raise Refused(f"manifest of {point} is of kind {kind}: this reader knows {', '.join(KINDS)}")
    if kind != "full" and not re.fullmatch(r"[A-Za-z0-9_-]+", parent or ""):
        raise Refused(f"manifest of {point} names no point that it stands on")
    parts = manifest["parts"]
    if [part["number"] for part in parts] != list(range(1, len(parts) + 1)):
        raise Refused(f"manifest of {point} does not list its parts one by one")
    for tree in manifest["trees"]:
        if not re.fullmatch(r"dump" if is_dump(manifest) else r"base|config|\d+", tree["id"]):
            raise Refused(f"manifest of {point} has an unknown tree {tree['id']}")
        no_folders = {file["path"] for file in tree["files"] if file["type"] != "directory"}
        for file in tree["files"]:
            pieces = file["path"].split("/")
            below_file = any("/".join(pieces[:count]) in no_folders for count in range(1, len(pieces)))
            if below_file or "\0" in file["path"] or any(piece in ("", ".", "..") for piece in pieces):
                raise Refused(f"manifest of {point} has a path that leaves its tree: {file['path']}")
            if file["type"] == "file":
                check_slices(file, parts)


def is_dump(manifest):
    """Archives of pg_dump, which need no WAL, instead of the files of a cluster."""
    consistency = manifest.get("consistency")
    fits = ("dump" in manifest) == (consistency == "consistent") and is_forensic(manifest) == (consistency == "forensic")
    if not fits or consistency not in ("consistent", "consistent-after-wal", "forensic"):
        raise Refused(f"manifest of {manifest['point']} has the consistency {consistency}, which does not fit what is in it")
    return "dump" in manifest


def is_forensic(manifest):
    """The files of a server that was down, as they were found: evidence, and no backup."""
    return "forensic" in manifest


def check_slices(file, parts):
    crc = length = 0
    for piece in file["slices"]:
        if not 1 <= piece["part"] <= len(parts) or piece["at"] + piece["bytes"] > parts[piece["part"] - 1]["bytes"]:
            raise Refused(f"{file['path']} reaches outside of part {piece['part']}")
        crc = crc32c_joined(crc, piece["crc32c"], piece["bytes"]) if length else piece["crc32c"]
        length += piece["bytes"]
    if (length, crc) != (file["bytes"], file["crc32c"]):
        raise Refused(f"{file['path']} is not what its slices add up to")


# Writing.


class Layout:
    """Where things go: everything is made below `<into>.partial`, which is renamed when all of it is good."""

    def __init__(self, into, manifest, moved):
        self.into, self.staging = os.path.abspath(into), os.path.abspath(into) + ".partial"
        oids = [tree["id"] for tree in manifest["trees"] if tree["id"].isdigit()]
        for oid in moved:
            if oid not in oids:
                raise Refused(f"--tablespace {oid}: the backup has no such tablespace, only {', '.join(oids) or 'none'}")
        self.moved = moved
        for path in [self.into, self.staging, *moved.values()]:
            if os.path.lexists(path) and (not os.path.isdir(path) or os.listdir(path) or path == self.staging):
                raise Refused(f"{path} exists: name a new or empty folder, or remove what an earlier attempt left")

    def root(self, tree):
        if tree in self.moved:
            return self.moved[tree]
        names = {"base": "data", "config": "config", "dump": "dump"}
        return os.path.join(self.staging, names.get(tree, f"tablespaces/{tree}"))

    def tablespace(self, oid):
        return os.path.abspath(self.moved[oid]) if oid in self.moved else os.path.join(self.into, "tablespaces", oid)


def write_chain(vault, chain, layout):
    """The full point first, then what each newer one changes of it: never more of them on the disk than one beside the copy."""
    for index, manifest in enumerate(chain):
        if index == 0:
            write_files(vault, manifest, layout.root)
        else:
            newer = os.path.join(layout.staging, "newer")
            write_files(vault, manifest, lambda tree: os.path.join(newer, tree))
            bring_up_to_date(chain[index - 1], manifest, layout, newer)
            shutil.rmtree(newer)
    base = layout.root("base")
    if len(chain) > 1:
        finish_increments(base)
    for tree in chain[-1]["trees"]:
        if tree["id"].isdigit():
            os.symlink(layout.tablespace(tree["id"]), os.path.join(base, "pg_tblspc", tree["id"]))
    # It names the old places of the tablespaces, and a server would follow it rather than the links.
    base_map = os.path.join(base, "tablespace_map")
    if os.path.exists(base_map):
        os.remove(base_map)


def write_dump(vault, manifest, layout):
    write_files(vault, manifest, layout.root)
    with open(os.path.join(layout.root("dump"), "contents.json"), "x", encoding="utf-8") as file:
        json.dump(manifest["dump"], file, indent=1)


def write_files(vault, manifest, root):
    pieces = {}
    for tree in manifest["trees"]:
        os.makedirs(root(tree["id"]), mode=0o700, exist_ok=True)
        for file in tree["files"]:
            write_entry(root(tree["id"]), file)
            position = 0
            for piece in file.get("slices", []):
                path = os.path.join(root(tree["id"]), file["path"])
                pieces.setdefault(piece["part"], []).append((path, position, piece))
                position += piece["bytes"]
    for part in manifest["parts"]:
        plain = vault.part(manifest["point"], part)
        for path, position, piece in pieces.get(part["number"], []):
            content = plain[piece["at"] : piece["at"] + piece["bytes"]]
            if crc32c(content) != piece["crc32c"]:
                raise Refused(f"{path} came out of part {part['number']} with another CRC-32C")
            with open(path, "r+b") as file:
                file.seek(position)
                file.write(content)


def write_entry(root, file):
    path = os.path.join(root, file["path"])
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    if file["type"] == "file":
        open(path, "xb").close()
    elif file["type"] == "directory":
        os.makedirs(path, exist_ok=True)
    elif not re.fullmatch(r"pg_tblspc/\d+", file["path"]):
        # What the source linked to (a pg_wal elsewhere) is not ours to follow: a folder takes its place.
        os.makedirs(path, mode=0o700, exist_ok=True)
    if file["type"] != "symlink":
        os.chmod(path, file["mode"] & 0o750)


# Points that stand on others.


def changed_file(tree, path):
    """Path of the file whose changed blocks stand in this one; None for any other file."""
    folder, name = os.path.split(path)
    has_relations = tree.isdigit() or (tree == "base" and re.match(r"base/|global/|pg_tblspc/", path))
    if not has_relations or not name.startswith("INCREMENTAL."):
        return None
    return os.path.join(folder, name[len("INCREMENTAL.") :])


def bring_up_to_date(older, newer, layout, folder):
    for tree in {tree["id"] for tree in older["trees"]} - {tree["id"] for tree in newer["trees"]}:
        shutil.rmtree(layout.root(tree))
    sizes = [int(newer["settings"].get(name, usual)) for name, usual in (("block_size", 8192), ("segment_size", 131072))]
    for tree in newer["trees"]:
        root, brought = layout.root(tree["id"]), os.path.join(folder, tree["id"])
        changed = {}
        for file in tree["files"]:
            target = changed_file(tree["id"], file["path"]) if file["type"] == "file" else None
            if target:
                changed[target] = os.path.join(brought, file["path"])
        if any(file["path"] in changed for file in tree["files"]):
            raise Refused(f"{newer['point']} has a file and changed blocks of it")
        remove_others(root, set(changed), {file["path"] for file in tree["files"] if file["type"] != "file"})
        for target, blocks in changed.items():
            apply_blocks(blocks, os.path.join(root, target), *sizes)
            os.remove(blocks)
        move_into(brought, root)


def remove_others(root, files, folders):
    if not os.path.isdir(root):
        os.makedirs(root, mode=0o700)
    for at, names, leaves in os.walk(root, topdown=False):
        for leaf in leaves:
            if os.path.relpath(os.path.join(at, leaf), root) not in files:
                os.remove(os.path.join(at, leaf))
        for name in names:
            path = os.path.join(at, name)
            if os.path.relpath(path, root) not in folders:
                shutil.rmtree(path)


def apply_blocks(source, target, block_bytes, segment_blocks):
    """Words: magic, number of blocks, truncation length, block numbers; padding to whole blocks; the blocks."""
    with open(source, "rb") as changes:
        magic, count, kept = struct.unpack("<III", changes.read(12))
        kept = min(kept, segment_blocks)
        numbers = struct.unpack(f"<{count}I", changes.read(4 * count))
        start = -(-(12 + 4 * count) // block_bytes) * block_bytes if count else 12
        size = os.fstat(changes.fileno()).st_size
        if magic != INCREMENT_MAGIC or size != start + count * block_bytes or list(numbers) != sorted(set(numbers)):
            raise Refused(f"{source} is no file of changed blocks")
        if not os.path.isfile(target):
            raise Refused(f"{source} changes a file that is not there")
        with open(target, "r+b") as file:
            file.truncate(min(os.fstat(file.fileno()).st_size, kept * block_bytes))
            file.truncate(max(kept, numbers[-1] + 1 if numbers else 0) * block_bytes)
            changes.seek(start)
            for number in numbers:
                file.seek(number * block_bytes)
                file.write(changes.read(block_bytes))


def move_into(folder, root):
    for at, names, leaves in os.walk(folder):
        to = os.path.normpath(os.path.join(root, os.path.relpath(at, folder)))
        for name in names:
            os.makedirs(os.path.join(to, name), mode=0o700, exist_ok=True)
            shutil.copymode(os.path.join(at, name), os.path.join(to, name))
        for leaf in leaves:
            shutil.move(os.path.join(at, leaf), os.path.join(to, leaf))


def finish_increments(base):
    """With these lines a server takes the copy for changed blocks alone; the list is that of the newest point's own files."""
    label = os.path.join(base, "backup_label")
    with open(label, encoding="utf-8") as file:
        lines = [line for line in file if not line.startswith("INCREMENTAL FROM ")]
    with open(label, "w", encoding="utf-8") as file:
        file.writelines(lines)
    os.remove(os.path.join(base, "backup_manifest"))


# WAL.


def parse_lsn(text):
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def format_lsn(position):
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


def segment_name(timeline, position, segment_bytes):
    per_id = (1 << 32) // segment_bytes
    segment = position // segment_bytes
    return f"{timeline:08X}{segment // per_id:08X}{segment % per_id:08X}"


class Wal:
    """Writes the WAL that follows a point as segment files and timeline history files, up to the first hole."""

    def __init__(self, vault, manifest, folder):
        self.vault, self.folder = vault, folder
        self.system = manifest["identity"]["systemId"]
        self.segment_bytes = manifest["identity"]["segmentBytes"]
        self.base, self.stop = manifest["timeline"], parse_lsn(manifest["stopLsn"])
        start = parse_lsn(manifest["startLsn"])
        self.start = start - start % self.segment_bytes
        self.known = {}

    def key(self, name):
        return f"{self.vault.source}/wal/{self.system}/{name}"

    def export(self):
        os.makedirs(self.folder)
        ancestors = {self.base: None}
        for name in self.vault.names(self.key("history")):
            if not re.fullmatch(r"[0-9a-f]{8}", name):
                continue
            text = self.history(int(name, 16))
            lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
            if self.base in [int(line[0]) for line in lines]:
                ancestors[int(name, 16)] = (int(lines[-1][0]), parse_lsn(lines[-1][1]))
        for timeline in sorted(ancestors):
            self.export_timeline(timeline, ancestors[timeline])
        if self.known.get(self.base, 0) < self.stop:
            reached = format_lsn(self.known.get(self.base, self.start))
            raise Refused(f"the backup cannot become consistent: WAL ends at {reached}, before {format_lsn(self.stop)}")
        return self.known

    def history(self, timeline):
        place = self.key(f"history/{timeline:08x}")
        context = {"artefact": "history", "system": self.system, "timeline": str(timeline)}
        content = self.vault.decode(self.vault.read(place), place, 1 << 20, **context)
        with open(os.path.join(self.folder, f"{timeline:08X}.history"), "xb") as file:
            file.write(content)
        return content.decode()

    def objects(self, timeline):
        for name in self.vault.names(self.key(f"{timeline:08x}")):
            match = re.fullmatch(r"([0-9a-f]{16})-([0-9a-f]{16})(?:-(\d{1,16}))?", name)
            if match:
                start, end = int(match[1], 16), int(match[2], 16)
                if start < end and end > self.start:
                    yield start, -end, match[3], self.key(f"{timeline:08x}/{name}")

    def export_timeline(self, timeline, parent):
        known = self.start if parent is None else None
        for start, end, commit, place in sorted(self.objects(timeline), key=lambda each: each[:2]):
            end = -end
            if known is None:
                known = self.fill_from_parent(timeline, start, parent)
            if start > known:
                print(f"WAL of timeline {timeline} has a hole from {format_lsn(known)} to {format_lsn(start)}: "
                      "what is behind it is left out", file=sys.stderr)
                break
            if end > known:
                content = self.read(timeline, start, end, commit, place)
                self.write(timeline, known, content[known - start :])
                known = end
        if known is not None:
            self.known[timeline] = known

    def read(self, timeline, start, end, commit, place):
        context = {"artefact": "wal", "system": self.system, "timeline": str(timeline)}
        context.update(start=format_lsn(start), end=format_lsn(end), **({"commit": commit} if commit else {}))
        content = self.vault.decode(self.vault.read(place), place, end - start, **context)
        if len(content) != end - start:
            raise Refused(f"{place} holds {len(content)} bytes: expected {end - start}")
        return content

    def fill_from_parent(self, timeline, start, parent):
        """A new timeline begins inside of a segment: what stands before is its parent's, up to the switch."""
        older, switched = parent
        begin = start - start % self.segment_bytes
        if begin == start or start > min(switched, self.known.get(older, 0)):
            return begin
        with open(os.path.join(self.folder, segment_name(older, begin, self.segment_bytes)), "rb") as file:
            self.write(timeline, begin, file.read(start - begin))
        return start

    def write(self, timeline, position, content):
        at = 0
        while at < len(content):
            offset = (position + at) % self.segment_bytes
            count = min(len(content) - at, self.segment_bytes - offset)
            path = os.path.join(self.folder, segment_name(timeline, position + at, self.segment_bytes))
            with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
                file.truncate(self.segment_bytes)
                file.seek(offset)
                file.write(content[at : at + count])
            at += count


# Commands.


def list_points(vault):
    damaged = 0
    for point in vault.names(f"{vault.source}/points"):
        if "manifest" not in vault.names(f"{vault.source}/points/{point}"):
            continue
        try:
            if vault.opener is None:
                if vault.envelope(point) is not None:
                    print(f"{point}  {'not verified' if vault.signers is None else 'signature good'}")
            elif vault.envelope(point) is not None:
                manifest = vault.manifest(point)
                size = sum(part["bytes"] for part in manifest["parts"])
                stands = f" on {manifest['parent']}" if manifest["kind"] != "full" else ""
                kind = "forensic copy, no backup" if is_forensic(manifest) else manifest["kind"]
                print(f"{point}  {kind}{stands}  {manifest['stoppedAt']}  PostgreSQL {manifest['identity']['serverVersion'] // 10000}  "
                      f"timeline {manifest['timeline']}  {manifest['startLsn']} to {manifest['stopLsn']}  {size} bytes")
        except Refused as error:
            damaged += 1
            print(f"{point}  damaged: {error}")
    return 1 if damaged else 0


def restore(vault, options):
    chain = vault.chain(options.point)
    manifest = chain[-1]
    if is_forensic(manifest) != options.forensic:
        raise Refused(f"{options.point} is {'no' if options.forensic else 'a'} forensic copy: "
                      f"{'leave out' if options.forensic else 'nothing is restored from it; to look at its files add'} --forensic")
    layout = Layout(options.into, manifest, dict(options.tablespace))
    os.makedirs(layout.staging, mode=0o700)
    if is_dump(manifest):
        write_dump(vault, manifest, layout)
        known = {}
    else:
        write_chain(vault, chain, layout)
        # Of a forensic copy it is among the files.
        known = {} if options.forensic else Wal(vault, manifest, os.path.join(layout.staging, "wal")).export()
    os.sync()
    if os.path.isdir(layout.into):
        os.rmdir(layout.into)
    os.rename(layout.staging, layout.into)
    if is_dump(manifest):
        print(f"{layout.into}/dump holds {options.point}, a dump of PostgreSQL {manifest['identity']['serverVersion'] // 10000}")
        print('next: docs/format.md, "Restoring by hand"')
        return 0
    if options.forensic:
        unread = manifest["forensic"].get("unreadCount", 0)
        print(f"{layout.into}/data holds the files of {manifest['forensic']['directory']} as they were found; not read: {unread}")
        return 0
    reached = ", ".join(f"{format_lsn(end)} on timeline {timeline}" for timeline, end in sorted(known.items()))
    print(f"{layout.into}/data holds {options.point}; WAL in {layout.into}/wal reaches {reached}")
    print(f"next, as the user who runs PostgreSQL {manifest['identity']['serverVersion'] // 10000}: docs/format.md, "
          '"Restoring by hand"')
    return 0


def tablespace_option(text):
    oid, _, folder = text.partition("=")
    if not oid.isdigit() or not os.path.isabs(folder):
        raise argparse.ArgumentTypeError(f"{text} is not OID=/absolute/folder")
    return oid, folder


def parse_options(words):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vault", required=True, help="folder of the store")
    parser.add_argument("--source", required=True, help="name of the source")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--list", action="store_true", help="the points; with a key also what is in them")
    what.add_argument("--point", help="the point to restore")
    key = parser.add_mutually_exclusive_group()
    key.add_argument("--root-key", help="root.key")
    key.add_argument("--recovery-key", help="private half of the offline recovery key")
    parser.add_argument("--signer", action="append", help="public key whose signature is accepted; may be repeated")
    parser.add_argument("--unverified", action="store_true", help="do not ask who signed")
    parser.add_argument("--into", help="folder to make")
    parser.add_argument("--forensic", action="store_true", help="the point is a forensic copy, not a backup")
    parser.add_argument("--tablespace", action="append", type=tablespace_option, default=[], metavar="OID=DIR")
    options = parser.parse_args(words)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", options.source):
        parser.error(f"--source {options.source} is no name of a source")
    if options.point and not (options.into and (options.root_key or options.recovery_key)):
        parser.error("--point needs --into and one of --root-key and --recovery-key")
    if options.point and not re.fullmatch(r"[A-Za-z0-9_-]+", options.point):
        parser.error(f"--point {options.point} is no name of a point")
    if options.point and bool(options.signer) == options.unverified:
        parser.error("--point needs --signer, or --unverified when the public key is lost")
    return options


def main(words):
    options = parse_options(words)
    try:
        opener = None
        if options.root_key or options.recovery_key:
            opener = root_opener(options.root_key) if options.root_key else recovery_opener(options.recovery_key)
        signers = dict(read_signer(path) for path in options.signer) if options.signer else None
        vault = Vault(options.vault, options.source, opener, signers)
        if options.source not in os.listdir(options.vault):
            raise Refused(f"{options.vault} holds no source {options.source}")
        return list_points(vault) if options.list else restore(vault, options)
    except (Refused, OSError) as error:
        print(f"read-backup: {error}", file=sys.stderr)
    except (KeyError, TypeError, ValueError, struct.error) as error:
        print(f"read-backup: a manifest or key is not of the form that is expected: {error!r}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

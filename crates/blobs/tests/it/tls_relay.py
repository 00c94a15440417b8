"""A TLS front for a plain server: tls_relay.py FOLDER HOST:PORT. Writes FOLDER/ca.pem, prints its port, ends with its input."""

import datetime
import pathlib
import socket
import ssl
import sys
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

folder, (host, port) = pathlib.Path(sys.argv[1]), sys.argv[2].split(":")
now = datetime.datetime.now(datetime.timezone.utc)


def certificate(name, key, issuer, issuer_key, extensions):
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1))
    builder = builder.not_valid_after(now + datetime.timedelta(days=2))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def named(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


authority, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
root = x509.BasicConstraints(ca=True, path_length=None)
(folder / "ca.pem").write_bytes(certificate(named("ca"), authority, named("ca"), authority, [(root, True)]))
names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
(folder / "own.pem").write_bytes(certificate(named("localhost"), own, named("ca"), authority, [(names, False)]))
private = own.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
(folder / "own.key").write_bytes(private)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder / "own.pem", folder / "own.key")


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def serve(plain):
    try:
        front = context.wrap_socket(plain, server_side=True)
    except OSError:
        return
    back = socket.create_connection((host, int(port)))
    threading.Thread(target=pump, args=(back, front), daemon=True).start()
    pump(front, back)


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)


def accept():
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


threading.Thread(target=accept, daemon=True).start()
sys.stdin.read()

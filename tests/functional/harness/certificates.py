"""Certificates made on the spot: an authority, and what it signs."""
import datetime
import ipaddress
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example"),
                      x509.NameAttribute(NameOID.COMMON_NAME, text)])


def replace(path, content):
    """As a careful administrator does it: whole, by a rename. Private from the beginning."""
    new = path.with_name(path.name + ".new")
    new.touch(0o600)
    new.write_bytes(content)
    os.replace(new, path)


class Authority:
    """`certificate` is its file."""

    def __init__(self, folder, name="authority"):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self.certificate = folder / f"{name}.pem"
        signed = (self._builder(self._name, self._key.public_key())
                  .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
                  .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()),
                                 critical=False)
                  .sign(self._key, hashes.SHA256()))
        replace(self.certificate, signed.public_bytes(serialization.Encoding.PEM))

    def _builder(self, name, key, days=(-1, 60)):
        now = datetime.datetime.now(datetime.timezone.utc)
        return (x509.CertificateBuilder().subject_name(name).issuer_name(self._name)
                .public_key(key).serial_number(x509.random_serial_number())
                .not_valid_before(now + datetime.timedelta(days=days[0]))
                .not_valid_after(now + datetime.timedelta(days=days[1])))

    def pair(self, name, usage=SERVER, days=(-1, 60)):
        """The bytes of a certificate for 127.0.0.1 and localhost, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        signed = (self._builder(_name(name), key.public_key(), days)
                  .add_extension(x509.SubjectAlternativeName(names), critical=False)
                  .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
                  .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(
                      self._key.public_key()), critical=False)
                  .sign(self._key, hashes.SHA256()))
        return (signed.public_bytes(serialization.Encoding.PEM),
                key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                  serialization.NoEncryption()))

    def issue(self, name, usage=SERVER, days=(-1, 60)):
        """Two files, NAME.pem and NAME.key; those that are there are replaced."""
        files = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        for path, content in zip(files, self.pair(name, usage, days)):
            replace(path, content)
        return files

"""Makes the signed test files of this folder, with a throw-away certificate authority: `pip install c2pa-python`, openssl.

`signed.jpg` says that a photograph was opened and cropped; `generated.png` that it was made by a model. The certificates
are good for a hundred years, the keys are thrown away. `trust.pem` is the authority's certificate.
"""

import json
import subprocess
import tempfile
from pathlib import Path

import c2pa

HERE = Path(__file__).parent
PHOTO = HERE.parents[3] / "test/samples/landscape.jpg"
PICTURE = HERE.parents[2] / "image/golden/rgb.png"
EXTENSIONS = """
[ca]
basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash
[leaf]
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=critical,emailProtection
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""


def openssl(*arguments: str, cwd: Path) -> None:
    """Runs openssl in `cwd`; raises CalledProcessError where it fails."""
    subprocess.run(["openssl", *arguments], cwd=cwd, check=True, capture_output=True)


def certificates(folder: Path) -> tuple[str, str, str]:
    """Chain, private key (PKCS #8) and root, as PEM."""
    (folder / "extensions").write_text(EXTENSIONS)
    for name, subject in (("ca", "/O=Omni-IML tests/CN=Test authority"), ("leaf", "/O=Omni-IML tests/CN=Test signer")):
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}.ec", cwd=folder)
        openssl("pkcs8", "-topk8", "-nocrypt", "-in", f"{name}.ec", "-out", f"{name}.key", cwd=folder)
        openssl("req", "-new", "-key", f"{name}.key", "-subj", subject, "-out", f"{name}.csr", cwd=folder)
        issuer = ["-signkey", "ca.key"] if name == "ca" else ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
        openssl(
            "x509", "-req", "-in", f"{name}.csr", *issuer, "-days", "36500", "-sha256",
            "-extfile", "extensions", "-extensions", name, "-out", f"{name}.pem", cwd=folder,
        )  # fmt: skip
    root = (folder / "ca.pem").read_text()
    return (folder / "leaf.pem").read_text() + root, (folder / "leaf.key").read_text(), root


def sign(source: Path, kind: str, target: Path, manifest: dict, chain: str, key: str) -> None:
    """Writes `source` with the manifest, signed, to `target`."""
    signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(c2pa.C2paSigningAlg.ES256, chain.encode(), key.encode(), None))
    builder = c2pa.Builder(json.dumps(manifest))
    if kind == "image/jpeg":
        with source.open("rb") as ingredient:
            builder.add_ingredient(
                json.dumps({"title": source.name, "relationship": "parentOf", "instance_id": "parent"}), kind, ingredient
            )
    with source.open("rb") as original, target.open("w+b") as signed:
        builder.sign(signer, kind, original, signed)


def main() -> None:
    """Makes both files."""
    agent = {"name": "Omni-IML test editor", "version": "1.0"}
    with tempfile.TemporaryDirectory() as folder:
        chain, key, root = certificates(Path(folder))
    (HERE / "trust.pem").write_text(root)
    actions = [
        {"action": "c2pa.opened", "softwareAgent": agent, "parameters": {"ingredientIds": ["parent"]}},
        {"action": "c2pa.cropped", "softwareAgent": agent},
    ]
    assertion = {"label": "c2pa.actions", "data": {"actions": actions}}
    manifest = {"claim_generator_info": [agent], "title": "signed.jpg", "assertions": [assertion]}
    sign(PHOTO, "image/jpeg", HERE / "signed.jpg", manifest, chain, key)
    created = {
        "action": "c2pa.created",
        "softwareAgent": {"name": "Omni-IML test generator"},
        "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
    }
    manifest["assertions"] = [{"label": "c2pa.actions", "data": {"actions": [created]}}]
    sign(PICTURE, "image/png", HERE / "generated.png", manifest | {"title": "generated.png"}, chain, key)


if __name__ == "__main__":
    main()

"""Makes the golden images of this folder and expected.json, what Pillow reads from them.

Run by hand where a new trap is added: python3 make.py P3.icc (needs Pillow, numpy, pillow-heif).
"""

import hashlib
import io
import json
import struct
import sys
from pathlib import Path

import numpy
import pillow_heif
from PIL import Image, ImageOps

here = Path(__file__).parent
pillow_heif.register_heif_opener()
expected = {}


def scene(width, height):
    """Gradients, edges, texture and saturated colour: what a wrong decoding changes visibly."""
    y, x = numpy.mgrid[0:height, 0:width]
    noise = numpy.random.default_rng(7).normal(0, 12, (height, width, 3))
    base = numpy.stack([255 * x / width, 255 * y / height, 128 + 100 * numpy.sin(x / 7) * numpy.cos(y / 9)], axis=-1)
    base[height // 4 : height // 2, width // 4 : width // 2] = (230, 20, 40)
    base[: height // 5, : width // 5] = (10, 200, 30)
    return Image.fromarray((base + noise).clip(0, 255).astype("uint8"))


def rgb_sha256(image):
    return hashlib.sha256(numpy.asarray(image.convert("RGB")).tobytes()).hexdigest()


def put(name, data, **facts):
    (here / name).write_bytes(data)
    expected[name] = facts


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def put_jpeg(name, data, **facts):
    image = Image.open(io.BytesIO(data))
    table = list(image.quantization[min(image.quantization)])
    put(name, data, width=image.width, height=image.height, pixels=rgb_sha256(image), **{"table": table, **facts})


def segments(data):
    """Positions of a JPEG's marker segments before the scan: marker, start of the content, end."""
    at = 2
    while data[at + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", data, at + 2)
        yield data[at + 1], at + 4, at + 2 + length
        at += 2 + length


def wide_tables(data):
    """The same JPEG with its quantization tables written in 16 bits."""
    result = bytearray(data[:2])
    last = 2
    for marker, start, end in segments(data):
        if marker == 0xDB:
            content = b""
            for i in range(start, end, 65):
                content += bytes([0x10 | data[i]]) + b"".join(struct.pack(">H", v) for v in data[i + 1 : i + 65])
            result += b"\xff\xdb" + struct.pack(">H", len(content) + 2) + content
        else:
            result += data[start - 4 : end]
        last = end
    return bytes(result + data[last:])


def moved_table(data):
    """The same JPEG with the luma table in slot 3, after a decoy in slot 0, as no encoder must but any may."""
    result = bytearray(data)
    for marker, start, end in segments(data):
        if marker == 0xDB and data[start] == 0:
            result[start] = 3
        if marker == 0xC0:
            result[start + 8] = 3
    decoy = b"\xff\xdb" + struct.pack(">H", 67) + b"\x00" + bytes([99] * 64)
    return bytes(result[:2]) + decoy + bytes(result[2:])


def segment(marker, content):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content


def xmp(attributes, inner=""):
    description = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" '
        'xmlns:Container="http://ns.google.com/photos/1.0/container/" '
        'xmlns:Item="http://ns.google.com/photos/1.0/container/item/" hdrgm:Version="1.0" '
        f"{attributes}>{inner}</rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    return segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + description.encode())


def ultra_hdr(image):
    """A JPEG with a gain map behind it, as Android cameras write: libvips reads it with another loader."""
    gain_xmp = xmp('hdrgm:GainMapMax="2.0" hdrgm:HDRCapacityMax="2"')
    gain = saved(image.convert("L").resize((76, 48)), "JPEG", quality=80)
    gain = gain[:2] + gain_xmp + gain[2:]
    item = '<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="{}" Item:Mime="image/jpeg"{}/></rdf:li>'
    directory = item.format("Primary", "") + item.format("GainMap", f' Item:Length="{len(gain)}"')
    head = b"\xff\xd8" + xmp("", f"<Container:Directory><rdf:Seq>{directory}</rdf:Seq></Container:Directory>")
    plain = saved(image, "JPEG", quality=85, subsampling=2)[2:]

    def multi_picture(primary, offset):
        entries = struct.pack(">IIIHHIIIHH", 0x030000, primary, 0, 0, 0, 0, len(gain), offset, 0, 0)
        fields = struct.pack(">HHI4sHHIIHHII", 0xB000, 7, 4, b"0100", 0xB001, 4, 1, 2, 0xB002, 7, 32, 50)
        return segment(0xE2, b"MPF\0MM\0*" + struct.pack(">IH", 8, 3) + fields + struct.pack(">I", 0) + entries)

    length = len(head) + len(multi_picture(0, 0)) + len(plain)
    # The gain map's offset counts from the byte order mark behind marker, length and "MPF".
    return head + multi_picture(length, length - len(head) - 8) + plain + gain


odd = scene(151, 97)
for name, options in {
    "baseline-420": {"subsampling": 2, "quality": 75},
    "baseline-422": {"subsampling": 1, "quality": 90},
    "baseline-444": {"subsampling": 0, "quality": 60},
    "progressive-420": {"subsampling": 2, "quality": 85, "progressive": True},
    "progressive-444": {"subsampling": 0, "quality": 50, "progressive": True},
}.items():
    put_jpeg(f"{name}.jpg", saved(odd, "JPEG", **options), quality=options["quality"])
put_jpeg("grey.jpg", saved(odd.convert("L"), "JPEG", quality=80), quality=80)
put_jpeg("wide-gamut.jpg", saved(odd, "JPEG", quality=85, icc_profile=Path(sys.argv[1]).read_bytes()), quality=85)
camera = list(range(2, 66))
put_jpeg("custom-table.jpg", saved(odd, "JPEG", qtables=[camera, camera]), quality=None)
plain = saved(odd, "JPEG", quality=75)
luma = list(Image.open(io.BytesIO(plain)).quantization[0])
put_jpeg("wide-tables.jpg", wide_tables(plain), quality=75, table=luma)
put_jpeg("moved-table.jpg", moved_table(plain), quality=75, table=luma)
put_jpeg("ultra-hdr.jpg", ultra_hdr(odd), quality=85)
put("rgb.jpg", saved(odd, "JPEG", quality=75, keep_rgb=True), width=151, height=97, pixels=rgb_sha256(
    Image.open(io.BytesIO(saved(odd, "JPEG", quality=75, keep_rgb=True)))))
put("cmyk.jpg", saved(odd.convert("CMYK"), "JPEG", quality=75), width=151, height=97)

upright = scene(96, 72)
for orientation in range(1, 9):
    # What turns the upright image into the one stored under this tag: the inverse of what the tag asks for.
    inverse = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    stored = upright if inverse is None else upright.transpose(Image.Transpose(inverse))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(stored, "JPEG", quality=90, subsampling=0, exif=exif)
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    put_jpeg(f"orientation-{orientation}.jpg", data, quality=90, displayed=rgb_sha256(shown), orientation=orientation)

put("rgb.png", saved(odd, "PNG"), width=151, height=97, pixels=rgb_sha256(odd))
alpha = odd.copy()
alpha.putalpha(Image.linear_gradient("L").resize(odd.size))
put("alpha.png", saved(alpha, "PNG"), width=151, height=97)
put("alpha.webp", saved(alpha, "WEBP", lossless=True, exact=True), width=151, height=97)
sixteen = numpy.random.default_rng(3).integers(0, 65536, (70, 80)).astype("uint16")
upper = Image.fromarray((sixteen >> 8).astype("uint8"))
put("grey16.png", saved(Image.fromarray(sixteen), "PNG"), width=80, height=70, pixels=rgb_sha256(upper))
put("grey16.tiff", saved(Image.fromarray(sixteen), "TIFF"), width=80, height=70, pixels=rgb_sha256(upper))
put("palette.png", saved(odd.quantize(32), "PNG"), width=151, height=97, pixels=rgb_sha256(odd.quantize(32)))
small = scene(80, 64)
second = ImageOps.invert(small)
pages = {"save_all": True, "append_images": [second, small]}
put("animated.webp", saved(small, "WEBP", lossless=True, exact=True, duration=100, **pages),
    width=80, height=64, pixels=rgb_sha256(small), frames=3)
put("animated.png", saved(small, "PNG", duration=100, **pages),
    width=80, height=64, pixels=rgb_sha256(small), frames=3)
put("pages.tiff", saved(small, "TIFF", compression="tiff_lzw", **pages),
    width=80, height=64, pixels=rgb_sha256(small), frames=3)
put("big.tiff", saved(odd, "TIFF", compression="tiff_lzw", big_tiff=True), width=151, height=97, pixels=rgb_sha256(odd))
put("animated.gif", saved(odd.quantize(16), "GIF"))
put("photo.avif", saved(odd, "AVIF", quality=90), width=151, height=97)
telephone = Image.Exif()
telephone[0x010F], telephone[0x0110] = "Apple", "iPhone 15"
put("photo.heic", saved(odd, "HEIF", quality=90, exif=telephone.tobytes()), width=151, height=97)
put("lossy.webp", saved(odd, "WEBP", quality=80), width=151, height=97)

(here / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")

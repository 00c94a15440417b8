"""Edits that libraries make of real content: the same document saved again, with something changed."""

import bz2
import gzip
import io
import lzma
import random
import sqlite3
import tarfile
import zipfile


class Edits:
    """Writes pairs of versions into a folder."""

    def __init__(self, folder, sources):
        self.folder, self.sources, self.number = folder, sources, 0
        self.random = random.Random(5)
        self.texts = [path for path in sources["text"]]

    def pair(self, name, old, new):
        self.number += 1
        paths = []
        for which, content in (("old", old), ("new", new)):
            path = self.folder / f"{self.number:05}-{which}-{name}"
            path.write_bytes(content)
            paths.append(path)
        return paths

    def text(self):
        return self.random.choice(self.texts).read_bytes()

    def words(self, count):
        return [word.decode("utf-8", "replace") for word in self.text().split()][:count] or ["word"]

    def all(self, count):
        makers = [self.gzip, self.zip, self.office_like, self.tar, self.xz, self.log, self.rotated, self.database,
                  self.replaced, self.docx, self.xlsx, self.pdf, self.pdf_updated, self.picture, self.picture_other,
                  self.csv, self.pdf_rewritten]
        for maker in makers:
            for _ in range(count):
                made = maker()
                if made is not None:
                    yield (made[0], *self.pair(*made[1:]))

    def gzip(self):
        content = self.text() * self.random.randint(1, 30)
        edited = content + self.text() if self.random.random() < 0.5 else content
        return "gzip, another level", "a.gz", gzip.compress(content, 9), gzip.compress(edited, self.random.randint(1, 6))

    def _zip(self, members, method, level):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method, compresslevel=level) as archive:
            for name, content in members:
                archive.writestr(name, content)
        return out.getvalue()

    def zip(self):
        members = [(f"{number}.txt", self.text()) for number in range(self.random.randint(1, 12))]
        methods = [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2]
        old = self._zip(members, zipfile.ZIP_DEFLATED, 6)
        return "zip, packed again", "a.zip", old, self._zip(members, self.random.choice(methods), 9)

    def office_like(self):
        jar = self.random.choice([path for path in self.sources["archives"] if path.suffix in (".jar", ".zip", ".whl")])
        old = jar.read_bytes()
        try:
            with zipfile.ZipFile(io.BytesIO(old)) as archive:
                members = [(info.filename, archive.read(info)) for info in archive.infolist()][:400]
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError):
            return None
        if members:
            at = self.random.randrange(len(members))
            members[at] = (members[at][0], self.text())
        return "zip, a member changed", "a.jar", old, self._zip(members, zipfile.ZIP_DEFLATED, 6)

    def tar(self):
        def pack(contents):
            out = io.BytesIO()
            with tarfile.open(fileobj=out, mode="w") as archive:
                for number, content in enumerate(contents):
                    info = tarfile.TarInfo(f"f{number}")
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))
            return out.getvalue()

        contents = [self.text() for _ in range(5)]
        packed = [gzip.compress(self.text()) for _ in range(5)]
        return "tar, other members", "a.tar", pack(contents), pack(contents[:1] + packed)

    def xz(self):
        content = self.text() * 5
        if self.random.random() < 0.5:
            return "xz or bzip2, saved again", "a.xz", lzma.compress(content, preset=9), lzma.compress(content + b"x", preset=1)
        return "xz or bzip2, saved again", "a.bz2", bz2.compress(content, 9), bz2.compress(b"x" + content, 1)

    def log(self):
        content = self.text()
        return "text, appended to", "a.log", content, content + self.text() * self.random.randint(1, 20)

    def csv(self):
        rows = [f"{self.random.random()},{self.random.randrange(10**9)},{self.random.choice('abc')}" for _ in range(900)]
        other = [f"{self.random.random()},{self.random.randrange(10**9)},{self.random.choice('abc')}" for _ in range(900)]
        return "tables of numbers, all new", "a.csv", "\n".join(rows).encode(), "\n".join(other).encode()

    def rotated(self):
        content = self.text() * 4
        pack = self.random.choice([gzip.compress, lzma.compress, bz2.compress])
        return "text, compressed in its place", "a.log", content, pack(content)

    def replaced(self):
        kinds = [name for name in ("documents", "pictures", "archives", "fonts", "programs", "text") if self.sources.get(name)]
        old, new = (self.random.choice(self.sources[self.random.choice(kinds)]).read_bytes() for _ in range(2))
        return "replaced by any other file", "a.bin", old, new

    def database(self):
        path = self.folder / f"scratch-{self.number}.sqlite"
        database = sqlite3.connect(path)
        database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b BLOB)")
        insert = "INSERT INTO t (a, b) VALUES (?, ?)"
        database.executemany(insert, [(word, None) for word in self.words(3000)])
        database.commit()
        old = path.read_bytes()
        blobs = self.random.random() < 0.5
        rows = [(word, gzip.compress(self.text())[:20_000] if blobs else None) for word in self.words(60 if blobs else 3000)]
        database.executemany(insert, rows)
        database.execute("DELETE FROM t WHERE id % 7 = 0")
        database.commit()
        if self.random.random() < 0.3:
            database.execute("VACUUM")
        database.close()
        new = path.read_bytes()
        path.unlink()
        return "sqlite, written to", "a.sqlite", old, new

    def docx(self):
        from docx import Document

        def make(paragraphs, picture):
            document, out = Document(), io.BytesIO()
            for paragraph in paragraphs:
                document.add_paragraph(" ".join(paragraph))
            if picture:
                document.add_picture(io.BytesIO(self._picture("PNG")))
            document.save(out)
            return out.getvalue()

        paragraphs = [self.words(200) for _ in range(20)]
        edited = paragraphs[:10] + [self.words(100)] + paragraphs[12:]
        return "docx, edited", "a.docx", make(paragraphs, False), make(edited, self.random.random() < 0.4)

    def xlsx(self):
        from openpyxl import Workbook

        def make(rows):
            book, out = Workbook(), io.BytesIO()
            for row in rows:
                book.active.append(row)
            book.save(out)
            return out.getvalue()

        rows = [[self.random.random(), self.random.randrange(1000), "x"] for _ in range(400)]
        return "xlsx, edited", "a.xlsx", make(rows), make([[row[0] * 2, *row[1:]] for row in rows])

    def _pdf(self, pages, compressed):
        from reportlab.lib.pagesizes import A4
        from reportlab.lib.utils import ImageReader
        from reportlab.pdfgen.canvas import Canvas

        out = io.BytesIO()
        canvas = Canvas(out, pagesize=A4, pageCompression=compressed)
        for page in pages:
            for line, words in enumerate(page):
                canvas.drawString(40, 800 - 14 * line, " ".join(words)[:90])
            if self.random.random() < 0.3:
                canvas.drawImage(ImageReader(io.BytesIO(self._picture("JPEG"))), 100, 100, 200, 200)
            canvas.showPage()
        canvas.save()
        return out.getvalue()

    def pdf(self):
        pages = [[self.words(12) for _ in range(40)] for _ in range(self.random.randint(1, 8))]
        return "pdf, made again", "a.pdf", self._pdf(pages, 0), self._pdf(pages[1:] + pages[:1], 1)

    def pdf_updated(self):
        old = self._pdf([[self.words(12) for _ in range(30)]], 1)
        added = b"\n99 0 obj\n<< /Type /Annot >>\nendobj\nxref\n99 1\n0000000000 00000 n \ntrailer\n<< /Size 100 >>\n"
        return "pdf, added to", "a.pdf", old, old + added * 40 + b"startxref\n0\n%%EOF\n"

    def pdf_rewritten(self):
        from pypdf import PdfReader, PdfWriter
        from pypdf.errors import PyPdfError

        files = [path for path in self.sources.get("documents", []) if path.suffix == ".pdf"]
        old = self.random.choice(files).read_bytes() if files and self.random.random() < 0.3 else self._pdf(
            [[self.words(12) for _ in range(30)] for _ in range(5)], 0)
        writer, out = PdfWriter(), io.BytesIO()
        try:
            for page in PdfReader(io.BytesIO(old)).pages:
                writer.add_page(page)
        except PyPdfError:
            # Some of the machine's files are damaged on purpose, to test programs with.
            return None
        for page in writer.pages:
            page.compress_content_streams()
        writer.write(out)
        return "pdf, rewritten", "a.pdf", old, out.getvalue()

    def _picture(self, form, **options):
        from PIL import Image

        source = self.random.choice(self.sources["pictures"])
        out = io.BytesIO()
        try:
            picture = Image.open(source).convert("RGB").resize((self.random.randint(150, 500), 300))
        except Exception:
            picture = Image.effect_noise((300, 300), 60).convert("RGB")
        picture.save(out, form, **options)
        return out.getvalue()

    def picture(self):
        from PIL import Image, ImageOps

        form = self.random.choice(["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"])
        old = self._picture(form)
        edited, out = ImageOps.autocontrast(ImageOps.mirror(Image.open(io.BytesIO(old)).convert("RGB"))), io.BytesIO()
        options = {"quality": self.random.randint(40, 95), "progressive": self.random.random() < 0.5} if form == "JPEG" else {}
        edited.save(out, form, **options)
        return "pictures, edited", f"a.{form.lower()}", old, out.getvalue()

    def picture_other(self):
        forms = self.random.sample(["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"], 2)
        return "pictures, another form", "a.img", self._picture(forms[0]), self._picture(forms[1])

"""Makes PyTorch's wheel, which is built for CUDA, load on a machine without CUDA's libraries.

The package index has no smaller wheel, and the libraries that this one is linked against weigh over
two gigabytes; on a CPU not one of their functions does anything. For each that is missing this
writes a small shared library of the same name beside PyTorch's own, with the symbols and versions
that PyTorch asks for; every function in it answers with the error that says there is no driver. So
torch.cuda.is_available() is False, as it is with the true libraries on a machine without a GPU.

Run by the build with the name of the variant; only "cpu" has anything to do.

Format: System V ABI, ELF-64 for x86-64, with the symbol versions of the Linux Standard Base.
"""
import os
import re
import struct
import sys
import sysconfig

PT_LOAD, PT_DYNAMIC, PT_GNU_STACK = 1, 2, 0x6474E551
DT_NEEDED, DT_HASH, DT_STRTAB, DT_SYMTAB, DT_STRSZ, DT_SYMENT, DT_SONAME = 1, 4, 5, 6, 10, 11, 14
DT_VERSYM, DT_VERDEF, DT_VERDEFNUM, DT_VERNEED, DT_VERNEEDNUM = (
    0x6FFFFFF0, 0x6FFFFFFC, 0x6FFFFFFD, 0x6FFFFFFE, 0x6FFFFFFF)
DT_GNU_HASH = 0x6FFFFEF5
PAGE = 4096
NO_DRIVER = 35  # cudaErrorInsufficientDriver; in the other libraries' numbers an error as well
CUDA = re.compile(r"lib(cu|nccl|nv)")
# Symbols without a version say by their first letters where they come from; longer names first.
OWNERS = [("cublasLt", "libcublasLt"), ("cublas", "libcublas"), ("cudnn", "libcudnn"),
          ("cufft", "libcufft"), ("cusparseLt", "libcusparseLt"), ("cusparse", "libcusparse"),
          ("cusolver", "libcusolver"), ("cupti", "libcupti"), ("cuFile", "libcufile"),
          ("nccl", "libnccl"), ("pnccl", "libnccl"), ("nvrtc", "libnvrtc"),
          ("nvshmem", "libnvshmem_host"), ("cuda", "libcudart"), ("__cuda", "libcudart")]


class Library:
    """What a shared library needs: other libraries, and the symbols it does not have itself."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        if self.data[:6] != b"\x7fELF\x02\x01":
            raise ValueError(f"{path} is no 64-bit ELF file")
        offset, = struct.unpack_from("<Q", self.data, 32)
        size, count = struct.unpack_from("<HH", self.data, 54)
        self.loads, entries = [], []
        for i in range(count):
            kind, _, at, address, _, length = struct.unpack_from("<IIQQQQ", self.data,
                                                                 offset + i * size)
            if kind == PT_LOAD:
                self.loads.append((address, at, length))
            elif kind == PT_DYNAMIC:
                entries = [struct.unpack_from("<QQ", self.data, at + j)
                           for j in range(0, length, 16)]
        self.tags = dict(reversed(entries))
        self.needed = [self.text(value) for tag, value in entries if tag == DT_NEEDED]
        self.undefined = list(self.read_undefined())

    def offset(self, address):
        for start, at, length in self.loads:
            if start <= address < start + length:
                return at + address - start
        raise ValueError("address outside of the file")

    def text(self, index):
        start = self.offset(self.tags[DT_STRTAB]) + index
        return self.data[start:self.data.index(b"\0", start)].decode()

    def versions(self):
        """Index in the version table → (library, version)."""
        found = {}
        at = self.offset(self.tags[DT_VERNEED]) if DT_VERNEED in self.tags else 0
        for _ in range(self.tags.get(DT_VERNEEDNUM, 0)):
            _, count, file, aux, following = struct.unpack_from("<HHIII", self.data, at)
            inner = at + aux
            for _ in range(count):
                _, _, other, name, step = struct.unpack_from("<IHHII", self.data, inner)
                found[other] = (self.text(file), self.text(name))
                inner += step
            at += following
        return found

    def read_undefined(self):
        """(name, library or None, version or None) of each symbol to come from elsewhere."""
        versions = self.versions()
        symbols = self.offset(self.tags[DT_SYMTAB])
        # The undefined ones come first: the hash table starts with the defined.
        if DT_GNU_HASH in self.tags:
            count, = struct.unpack_from("<I", self.data, self.offset(self.tags[DT_GNU_HASH]) + 4)
        else:
            count, = struct.unpack_from("<I", self.data, self.offset(self.tags[DT_HASH]) + 4)
        for i in range(1, count):
            name, _, _, section = struct.unpack_from("<IBBH", self.data, symbols + 24 * i)
            if section != 0:
                continue
            version = 0
            if DT_VERSYM in self.tags:
                version, = struct.unpack_from("<H", self.data,
                                              self.offset(self.tags[DT_VERSYM]) + 2 * i)
            yield (self.text(name), *versions.get(version & 0x7FFF, (None, None)))


def elf_hash(name):
    value = 0
    for byte in name.encode():
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ (high >> 24)) & ~high & 0xFFFFFFFF
    return value


class Strings:
    def __init__(self):
        self.data = b"\0"
        self.known = {}

    def add(self, text):
        if text not in self.known:
            self.known[text] = len(self.data)
            self.data += text.encode() + b"\0"
        return self.known[text]


def cudnn_version(site):
    """Major, minor and patch of the cuDNN that this PyTorch was built with."""
    for name in os.listdir(site):
        if re.match(r"torch-\d.*\.dist-info$", name):
            with open(os.path.join(site, name, "METADATA"), encoding="utf-8") as file:
                found = re.search(r"^Requires-Dist: nvidia-cudnn\S*?==(\d+)\.(\d+)\.(\d+)",
                                  file.read(), re.MULTILINE)
            if found:
                return tuple(map(int, found.groups()))
    return (0, 0, 0)


def code_for(symbol, here, message, scratch):
    """Machine code of one function at address `here`."""
    def number(value):  # mov eax, value; ret
        return b"\xb8" + struct.pack("<I", value) + b"\xc3"
    def address(target):  # lea rax, [rip + …]; ret
        return b"\x48\x8d\x05" + struct.pack("<i", target - (here + 7)) + b"\xc3"
    if re.search(r"GetError(String|Name)$|GetErrorString|GetStatusString$", symbol):
        return address(message)
    if symbol == "cudaGetDeviceCount":  # test rdi, rdi; je +6; mov dword [rdi], 0
        return b"\x48\x85\xff\x74\x06\xc7\x07\0\0\0\0" + number(NO_DRIVER)
    if symbol == "__cudaRegisterFatBinary":
        return address(scratch)
    if symbol in ("cudnnGetVersion", "cudnnGetProperty"):
        version = cudnn_version(sysconfig.get_paths()["purelib"])
        if symbol == "cudnnGetVersion":
            return number(version[0] * 10000 + version[1] * 100 + version[2])
        # lea rax, [table]; mov eax, [rax + 4 * rdi]; mov [rsi], eax; xor eax, eax; ret
        return (b"\x48\x8d\x05\x09\0\0\0\x8b\x04\xb8\x89\x06\x31\xc0\xc3\xcc" +
                struct.pack("<3I", *version))
    if symbol.startswith("__cuda") or symbol.endswith("GetVersion"):
        return number(0)  # nothing to register, no version
    return number(NO_DRIVER)


def write_library(path, soname, symbols):
    """`symbols`: name → version or None."""
    names = sorted(symbols)
    versions = sorted({version for version in symbols.values() if version})
    strings = Strings()
    own_name = strings.add(soname)
    definitions = b""
    for number, version in enumerate([soname] + versions, 1):
        last = number == len(versions) + 1
        definitions += struct.pack("<HHHHIII", 1, 1 if number == 1 else 0, number, 1,
                                   elf_hash(version), 20, 0 if last else 28)
        definitions += struct.pack("<II", strings.add(version), 0)
    for name in names:
        strings.add(name)

    def align(value, to=8):
        return -(-value // to) * to
    count = len(names) + 1
    buckets = max(1, count // 2)
    at = {}
    position = 64 + 4 * 56
    for part, size in [("hash", 4 * (2 + buckets + count)), ("symbols", 24 * count),
                       ("strings", len(strings.data)), ("versym", 2 * count),
                       ("verdef", len(definitions))]:
        at[part] = position = align(position)
        position += size
    at["message"] = align(position)
    message = b"no CUDA on this machine\0"
    at["code"] = align(at["message"] + len(message), 16)
    data_start = align(at["code"] + 16 * 2 * count, PAGE)
    dynamic = [(DT_SONAME, own_name), (DT_HASH, at["hash"]), (DT_STRTAB, at["strings"]),
               (DT_SYMTAB, at["symbols"]), (DT_STRSZ, len(strings.data)), (DT_SYMENT, 24),
               (DT_VERSYM, at["versym"]), (DT_VERDEF, at["verdef"]),
               (DT_VERDEFNUM, len(versions) + 1), (0, 0)]
    scratch = data_start + 16 * len(dynamic)
    end = scratch + 64

    table, versym, code = b"\0" * 24, struct.pack("<H", 0), b""
    heads, chains = [0] * buckets, [0] * count
    for index, name in enumerate(names, 1):
        here = at["code"] + len(code)
        body = code_for(name, here, at["message"], scratch)
        code += body.ljust(align(len(body), 16), b"\xcc")
        # A global function of the code section; its number only has to differ from 0.
        table += struct.pack("<IBBHQQ", strings.add(name), 0x12, 0, 1, here, len(body))
        version = symbols[name]
        versym += struct.pack("<H", versions.index(version) + 2 if version else 1)
        bucket = elf_hash(name) % buckets
        chains[index], heads[bucket] = heads[bucket], index
    image = bytearray(end)

    def place(start, content):
        image[start:start + len(content)] = content
    place(0, b"\x7fELF\x02\x01\x01" + b"\0" * 9 +
          struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 4, 64, 0, 0))
    for number, header in enumerate([
            (PT_LOAD, 5, 0, data_start, PAGE), (PT_LOAD, 6, data_start, end - data_start, PAGE),
            (PT_DYNAMIC, 6, data_start, 16 * len(dynamic), 8), (PT_GNU_STACK, 6, 0, 0, 16)]):
        kind, flags, start, size, alignment = header
        place(64 + 56 * number, struct.pack("<IIQQQQQQ", kind, flags, start, start, start, size,
                                            size, alignment))
    place(at["hash"], struct.pack(f"<{2 + buckets + count}I", buckets, count, *heads, *chains))
    place(at["symbols"], table)
    place(at["strings"], strings.data)
    place(at["versym"], versym)
    place(at["verdef"], definitions)
    place(at["message"], message)
    place(at["code"], code)
    place(data_start, b"".join(struct.pack("<QQ", *entry) for entry in dynamic))
    with open(path, "wb") as file:
        file.write(image)
    os.chmod(path, 0o755)


def main():
    if sys.argv[1:] != ["cpu"]:
        return
    site = sysconfig.get_paths()["purelib"]
    folder = os.path.join(site, "torch", "lib")
    present = set(os.listdir(folder))
    for _, _, files in os.walk(os.path.join(site, "nvidia")):
        present.update(files)
    own = [Library(os.path.join(folder, name)) for name in sorted(present)
           if ".so" in name and os.path.isfile(os.path.join(folder, name))]
    missing = sorted({name for library in own for name in library.needed
                      if CUDA.match(name) and name not in present and name != "libcuda.so.1"})
    wanted = {name: {} for name in missing}
    for library in own:
        for symbol, owner, version in library.undefined:
            if owner is None:
                stem = next((lib for prefix, lib in OWNERS if symbol.startswith(prefix)), None)
                owner = next((n for n in missing if stem and n.split(".so")[0] == stem), None)
            if owner in wanted:
                wanted[owner].setdefault(symbol, version)
                if version:
                    wanted[owner][symbol] = version
    for name, symbols in wanted.items():
        write_library(os.path.join(folder, name), name, symbols)
    print(f"{len(wanted)} libraries with {sum(map(len, wanted.values()))} functions in place of CUDA")


if __name__ == "__main__":
    main()

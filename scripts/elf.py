# SPDX-License-Identifier: Apache-2.0
"""Reads ELF64 little-endian files (System V ABI, chapter 4), as far as Bawn's builds are inspected and
compared by: sections, segments, symbols, the dynamic section. Trusts the file to be a linker's."""
import struct

ET_REL, ET_EXEC, ET_DYN = 1, 2, 3
PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
PT_GNU_STACK, PT_GNU_RELRO = 0x6474E551, 0x6474E552
PF_X, PF_W = 1, 2
SHT_SYMTAB, SHT_STRTAB, SHT_NOBITS, SHT_DYNSYM = 2, 3, 8, 11
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 1, 2, 4
DT_NEEDED, DT_STRTAB, DT_RPATH, DT_TEXTREL, DT_FLAGS, DT_RUNPATH, DT_FLAGS_1 = \
    1, 5, 15, 22, 30, 29, 0x6FFFFFFB
DF_TEXTREL, DF_BIND_NOW, DF_1_NOW, DF_1_PIE = 4, 8, 1, 0x08000000
STB_LOCAL, STT_FUNC, SHN_UNDEF = 0, 2, 0


class Section:
    def __init__(self, fields, data):
        (self.name_at, self.type, self.flags, self.address, self.offset, self.size, self.link,
         _, _, self.entry) = fields
        self.name = ""
        self.data = b"" if self.type == SHT_NOBITS else data[self.offset:self.offset + self.size]


class Symbol:
    def __init__(self, fields, names):
        at, info, _, self.section, self.value, self.size = fields
        self.name = string(names, at)
        self.type, self.bind = info & 15, info >> 4


def string(table, at):
    return table[at:table.index(b"\0", at)].decode(errors="replace")


class Elf:
    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = f.read()
        if self.data[:6] != b"\x7fELF\x02\x01":
            raise ValueError(f"{path}: not an ELF file of 64 bits")
        (self.type, _, _, self.entry, segments, sections, _, _, size, count, section_size,
         section_count, names) = struct.unpack_from("<HHIQQQIHHHHHH", self.data, 16)
        self.segments = [struct.unpack_from("<IIQQQQQQ", self.data, segments + i * size)
                         for i in range(count)]
        self.sections = [Section(struct.unpack_from("<IIQQQQIIQQ", self.data, sections + i * section_size),
                                 self.data) for i in range(section_count)]
        for section in self.sections:
            section.name = string(self.sections[names].data, section.name_at)

    def section(self, name):
        return next((s for s in self.sections if s.name == name), None)

    def content(self, name):
        found = self.section(name)
        return found.data if found else b""

    def symbols(self, kind=SHT_SYMTAB):
        for table in self.sections:
            if table.type == kind:
                names = self.sections[table.link].data
                for at in range(0, table.size, 24):
                    yield Symbol(struct.unpack_from("<IBBHQQ", table.data, at), names)

    def dynamic(self):
        """tag: values"""
        found = {}
        for at in range(0, len(self.content(".dynamic")), 16):
            tag, value = struct.unpack_from("<QQ", self.content(".dynamic"), at)
            if not tag:
                break
            found.setdefault(tag, []).append(value)
        return found

    def code(self, symbol, length):
        """The first bytes of a function."""
        section = self.sections[symbol.section]
        at = symbol.value - section.address
        return section.data[at:at + length]

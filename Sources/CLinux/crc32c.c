#include "CLinux.h"

#include <string.h>

// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78), RFC 3720 appendix B.4.
static uint32_t by_bits(uint32_t crc, const unsigned char *p, size_t size) {
    while (size--) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0);
    }
    return crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const unsigned char *p, size_t size) {
    uint64_t wide = crc;
    for (; size >= 8; p += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = (uint32_t)wide;
    while (size--) crc = __builtin_ia32_crc32qi(crc, *p++);
    return crc;
}
#endif

uint32_t stave_crc32c(uint32_t crc, const void *bytes, size_t size) {
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2")) return by_instruction(crc, bytes, size);
#endif
    return by_bits(crc, bytes, size);
}

uint32_t stave_crc32c_portable(uint32_t crc, const void *bytes, size_t size) { return by_bits(crc, bytes, size); }

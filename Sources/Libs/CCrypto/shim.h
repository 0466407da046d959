// OpenSSL's low-level SHA-256: streaming, no provider look-up, small when linked statically.
#define OPENSSL_SUPPRESS_DEPRECATED 1
#include <openssl/sha.h>

static inline void stave_sha256_init(SHA256_CTX *c) { SHA256_Init(c); }
static inline void stave_sha256_update(SHA256_CTX *c, const void *p, size_t n) { SHA256_Update(c, p, n); }
static inline void stave_sha256_final(unsigned char *out, SHA256_CTX *c) { SHA256_Final(out, c); }

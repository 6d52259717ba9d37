/* In the subject: how a check program in C says what it measured, one JSON line each. The twin of report.py. */
#ifndef SOVSTACK_REPORT_H
#define SOVSTACK_REPORT_H
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPORT_TEXT = 1000, REPORT_FAULTS = 20, REPORT_POINTS = 8 };

static inline void report_string(const char *text) {
  putchar('"');
  for (const unsigned char *c = (const unsigned char *)text; *c; ++c) {
    if (*c == '"' || *c == '\\')
      printf("\\%c", *c);
    else if (*c < 0x20 || *c >= 0x7f)
      printf("\\u%04x", *c);
    else
      putchar(*c);
  }
  putchar('"');
}

static inline void report_value(double value) {
  if (isnan(value))
    printf("NaN");
  else if (isinf(value))
    printf(value < 0 ? "-Infinity" : "Infinity");
  else
    printf("%.17g", value);
}

/* One number; the words, as of printf, say what was expected and what came out, on which input. */
__attribute__((format(printf, 3, 4))) static inline void report_metric(const char *name, double value,
                                                                       const char *words, ...) {
  char detail[REPORT_TEXT];
  va_list given;
  va_start(given, words);
  vsnprintf(detail, sizeof detail, words, given);
  va_end(given);
  printf("{\"sovstack\": \"metric\", \"name\": ");
  report_string(name);
  printf(", \"value\": ");
  report_value(value);
  printf(", \"detail\": ");
  report_string(detail);
  printf("}\n");
  fflush(stdout);
}

/* Something wrong that no number tells. */
__attribute__((format(printf, 1, 2))) static inline void report_fault(const char *words, ...) {
  static int said;
  char text[REPORT_TEXT];
  va_list given;
  va_start(given, words);
  vsnprintf(text, sizeof text, words, given);
  va_end(given);
  if (said++ >= REPORT_FAULTS) return;
  printf("{\"sovstack\": \"fault\", \"text\": ");
  report_string(text);
  printf("}\n");
  fflush(stdout);
}

/* The program came to its end. */
static inline void report_done(void) {
  printf("{\"sovstack\": \"done\"}\n");
  fflush(stdout);
}

/* A factor on the time that anything may take: more than 1 where the CPU is emulated. */
static inline int report_patience(void) {
  const char *said = getenv("SOVSTACK_PATIENCE");
  return said && atoi(said) > 1 ? atoi(said) : 1;
}

/* SHA-256 (FIPS 180-4), of arrays as identity.py takes it: type, shape, little-endian bytes. */
typedef struct {
  uint32_t state[8];
  uint64_t length;
  unsigned char block[64];
} Sha;

static inline uint32_t sha_turn(uint32_t x, int n) { return x >> n | x << (32 - n); }

/* The first 32 bits of the fractional part of a root of a prime: the constants of FIPS 180-4, by their definition. */
static inline uint32_t sha_root(int prime, int cubic) {
  uint64_t low = 0, high = (uint64_t)1 << 37; /* the root times 2^32; the primes are below 2^9 */
  while (high - low > 1) {
    uint64_t middle = low + (high - low) / 2;
    unsigned __int128 square = (unsigned __int128)middle * middle;
    /* middle^3 would have more than 128 bits: compare middle^2 with the quotient instead, rounded as it has to be. */
    unsigned __int128 whole = (unsigned __int128)prime << (cubic ? 96 : 64);
    if (cubic ? square <= whole / middle : square <= whole)
      low = middle;
    else
      high = middle;
  }
  return (uint32_t)low;
}

static inline const uint32_t *sha_constants(uint32_t *first) {
  static uint32_t cubic[64], square[8];
  if (!cubic[0])
    for (int n = 2, found = 0; found < 64; ++n) {
      int divides = 0;
      for (int d = 2; d * d <= n; ++d) divides |= n % d == 0;
      if (divides) continue;
      if (found < 8) square[found] = sha_root(n, 0);
      cubic[found++] = sha_root(n, 1);
    }
  if (first) memcpy(first, square, sizeof square);
  return cubic;
}

static inline void sha_block(Sha *sha) {
  const uint32_t *k = sha_constants(NULL);
  uint32_t w[64], v[8];
  for (int i = 0; i < 16; ++i)
    w[i] = (uint32_t)sha->block[4 * i] << 24 | (uint32_t)sha->block[4 * i + 1] << 16 |
           (uint32_t)sha->block[4 * i + 2] << 8 | sha->block[4 * i + 3];
  for (int i = 16; i < 64; ++i) {
    uint32_t a = sha_turn(w[i - 15], 7) ^ sha_turn(w[i - 15], 18) ^ w[i - 15] >> 3;
    uint32_t b = sha_turn(w[i - 2], 17) ^ sha_turn(w[i - 2], 19) ^ w[i - 2] >> 10;
    w[i] = w[i - 16] + a + w[i - 7] + b;
  }
  memcpy(v, sha->state, sizeof v);
  for (int i = 0; i < 64; ++i) {
    uint32_t a = sha_turn(v[4], 6) ^ sha_turn(v[4], 11) ^ sha_turn(v[4], 25);
    uint32_t first = v[7] + a + ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[i] + w[i];
    uint32_t b = sha_turn(v[0], 2) ^ sha_turn(v[0], 13) ^ sha_turn(v[0], 22);
    uint32_t second = b + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
    memmove(v + 1, v, 7 * sizeof *v);
    v[4] += first;
    v[0] = first + second;
  }
  for (int i = 0; i < 8; ++i) sha->state[i] += v[i];
}

static inline void sha_start(Sha *sha) {
  sha->length = 0;
  sha_constants(sha->state);
}

static inline void sha_add(Sha *sha, const void *data, size_t size) {
  for (const unsigned char *at = data, *end = at + size; at < end; ++at) {
    sha->block[sha->length++ % 64] = *at;
    if (sha->length % 64 == 0) sha_block(sha);
  }
}

/* A one-dimensional array; `type` as NumPy calls it. Every machine that is known here is little-endian. */
static inline void sha_array(Sha *sha, const char *type, const void *data, size_t count, size_t width) {
  char head[80];
  snprintf(head, sizeof head, "%s(%zu,)", type, count);
  sha_add(sha, head, strlen(head));
  sha_add(sha, data, count * width);
}

static inline void sha_end(Sha *sha, char hex[65]) {
  uint64_t bits = sha->length * 8;
  unsigned char one = 0x80, zero = 0, tail[8];
  sha_add(sha, &one, 1);
  while (sha->length % 64 != 56) sha_add(sha, &zero, 1);
  for (int i = 0; i < 8; ++i) tail[i] = (unsigned char)(bits >> (56 - 8 * i));
  sha_add(sha, tail, 8);
  for (int i = 0; i < 8; ++i) snprintf(hex + 8 * i, 9, "%08x", sha->state[i]);
}

/* A result for the numerical identity card. `bounds`: of each of its `doubles`, NULL where it is exact, be it doubles or
   `whole` numbers; `ratio`: its largest error as a multiple of its bound, negative where that is not known. */
typedef struct {
  const char *name, *precision, *said, *basis;
  Sha inputs, result;
  size_t count;
  const double *doubles, *bounds;
  const int64_t *whole;
  double ratio;
} Number;

static inline void report_number(Number *number) {
  char inputs[65], result[65];
  sha_end(&number->inputs, inputs);
  sha_end(&number->result, result);
  printf("{\"sovstack\": \"number\", \"name\": ");
  report_string(number->name);
  printf(", \"kind\": \"%s\", \"precision\": \"%s\", \"said\": ", number->bounds ? "bounded" : "exact",
         number->precision);
  report_string(number->said);
  printf(", \"basis\": ");
  report_string(number->basis);
  printf(", \"inputs\": \"%s\", \"digest\": \"%s\", \"count\": %zu, \"points\": [", inputs, result, number->count);
  size_t kept = number->count < REPORT_POINTS ? number->count : REPORT_POINTS;
  for (size_t i = 0; (number->doubles || number->whole) && i < kept; ++i) {
    size_t at = kept > 1 ? i * (number->count - 1) / (kept - 1) : 0;
    printf("%s[\"%zu\", \"%a\", \"%a\"]", i ? ", " : "", at,
           number->whole ? (double)number->whole[at] : number->doubles[at], number->bounds ? number->bounds[at] : 0.0);
  }
  printf("], \"ratio\": ");
  if (number->bounds && number->ratio >= 0)
    report_value(number->ratio);
  else
    printf(number->bounds && isnan(number->ratio) ? "NaN" : "null");
  printf("}\n");
  fflush(stdout);
}
#endif

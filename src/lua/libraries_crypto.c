/*
 * libraries_crypto: random bytes from the kernel, SHA-256 and HMAC by OpenSSL, and the encodings
 * that tokens and signatures travel in (RFC 4648: base 16 in lower case, base 64 with padding,
 * base64url without).
 *
 * Results are written straight into Lua's own buffers; between OpenSSL's allocations and their
 * release no Lua function is called, so that an error cannot leak them.
 *
 * Threads: that of the Lua state.
 */
#include "lua/libraries_private.h"

#include "base/random.h"
#include "holdfast/limits.h"
#include "lua/sandbox.h"

#include <lauxlib.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>

#define SHA256_BYTES 32
#define HASH_CHARGE  100 /* to set a digest up */
#define UUID_TEXT    36

static int crypto_random(lua_State *L);
static int crypto_random_hex(lua_State *L);
static int crypto_uuid(lua_State *L);
static int crypto_sha256(lua_State *L);
static int crypto_hmac_sha256(lua_State *L);
static int crypto_hex(lua_State *L);
static int crypto_base64(lua_State *L);
static int crypto_base64url(lua_State *L);
static int crypto_from_base64(lua_State *L);
static int crypto_equal(lua_State *L);

void libraries_push_crypto(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "random", crypto_random },
		{ "random_hex", crypto_random_hex },
		{ "uuid", crypto_uuid },
		{ "sha256", crypto_sha256 },
		{ "hmac_sha256", crypto_hmac_sha256 },
		{ "hex", crypto_hex },
		{ "base64", crypto_base64 },
		{ "base64url", crypto_base64url },
		{ "from_base64", crypto_from_base64 },
		{ "equal", crypto_equal },
		{ NULL, NULL },
	};
	luaL_newlib(L, functions);
	sandbox_guard(L);
}

/* A string argument, its bytes charged. */
static struct slice check_bytes(lua_State *L, int argument)
{
	struct slice bytes;
	bytes.data = luaL_checklstring(L, argument, &bytes.size);
	sandbox_charge(L, bytes.size / LIBRARIES_CHARGE_BYTES);
	return bytes;
}

static void push_hex(lua_State *L, struct slice bytes)
{
	static const char digits[] = "0123456789abcdef";
	luaL_Buffer buffer;
	char *out = luaL_buffinitsize(L, &buffer, bytes.size * 2);
	for (size_t i = 0; i < bytes.size; i++) {
		unsigned char byte = (unsigned char)bytes.data[i];
		out[2 * i] = digits[byte >> 4];
		out[2 * i + 1] = digits[byte & 15];
	}
	luaL_pushresultsize(&buffer, bytes.size * 2);
}

/* Fills `out` with as many random bytes as argument 1 says. */
static struct slice take_random(lua_State *L, char out[LIMIT_RANDOM_BYTES])
{
	lua_Integer size = luaL_checkinteger(L, 1);
	luaL_argcheck(L, size >= 0 && size <= LIMIT_RANDOM_BYTES, 1, "not from 0 to 4096 bytes");
	sandbox_charge(L, HASH_CHARGE + (uint64_t)size);
	random_entropy(out, (size_t)size);
	return slice_of(out, (size_t)size);
}

static int crypto_random(lua_State *L)
{
	char bytes[LIMIT_RANDOM_BYTES];
	struct slice random = take_random(L, bytes);
	lua_pushlstring(L, random.data, random.size);
	return 1;
}

static int crypto_random_hex(lua_State *L)
{
	char bytes[LIMIT_RANDOM_BYTES];
	push_hex(L, take_random(L, bytes));
	return 1;
}

/* Version 4 of RFC 9562: all random but for the version and the variant. */
static int crypto_uuid(lua_State *L)
{
	unsigned char bytes[16];
	char text[UUID_TEXT + 1];
	char *at = text;
	sandbox_charge(L, HASH_CHARGE);
	random_entropy(bytes, sizeof(bytes));
	bytes[6] = (unsigned char)(0x40 | (bytes[6] & 0x0f));
	bytes[8] = (unsigned char)(0x80 | (bytes[8] & 0x3f));
	for (int i = 0; i < 16; i++) {
		bool is_group = i == 4 || i == 6 || i == 8 || i == 10;
		at += sprintf(at, is_group ? "-%02x" : "%02x", (unsigned)bytes[i]);
	}
	lua_pushlstring(L, text, UUID_TEXT);
	return 1;
}

static int crypto_sha256(lua_State *L)
{
	struct slice bytes = check_bytes(L, 1);
	unsigned char digest[SHA256_BYTES];
	sandbox_charge(L, HASH_CHARGE);
	if (EVP_Digest(bytes.data, bytes.size, digest, NULL, EVP_sha256(), NULL) != 1)
		return luaL_error(L, "SHA-256 is not to be had");
	lua_pushlstring(L, (const char *)digest, sizeof(digest));
	return 1;
}

static int crypto_hmac_sha256(lua_State *L)
{
	struct slice key = check_bytes(L, 1), bytes = check_bytes(L, 2);
	unsigned char digest[SHA256_BYTES];
	size_t size = 0;
	sandbox_charge(L, HASH_CHARGE);
	if (EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key.data, key.size,
		    (const unsigned char *)bytes.data, bytes.size, digest, sizeof(digest),
		    &size) == NULL)
		return luaL_error(L, "HMAC-SHA-256 is not to be had");
	lua_pushlstring(L, (const char *)digest, size);
	return 1;
}

static int crypto_hex(lua_State *L)
{
	push_hex(L, check_bytes(L, 1));
	return 1;
}

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64url_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void push_base64(lua_State *L, struct slice bytes, const char *digits, bool is_padded)
{
	luaL_Buffer buffer;
	char *out = luaL_buffinitsize(L, &buffer, (bytes.size + 2) / 3 * 4);
	size_t size = 0;
	for (size_t i = 0; i < bytes.size; i += 3) {
		size_t left = bytes.size - i;
		uint32_t bits = (uint32_t)(unsigned char)bytes.data[i] << 16;
		if (left > 1)
			bits |= (uint32_t)(unsigned char)bytes.data[i + 1] << 8;
		if (left > 2)
			bits |= (unsigned char)bytes.data[i + 2];
		out[size++] = digits[bits >> 18];
		out[size++] = digits[bits >> 12 & 63];
		if (left > 1)
			out[size++] = digits[bits >> 6 & 63];
		if (left > 2)
			out[size++] = digits[bits & 63];
	}
	while (is_padded && size % 4)
		out[size++] = '=';
	luaL_pushresultsize(&buffer, size);
}

static int crypto_base64(lua_State *L)
{
	push_base64(L, check_bytes(L, 1), base64_digits, true);
	return 1;
}

static int crypto_base64url(lua_State *L)
{
	push_base64(L, check_bytes(L, 1), base64url_digits, false);
	return 1;
}

/* What a digit of either alphabet stands for; -1: it is none. */
static int base64_value(char digit)
{
	if (digit >= 'A' && digit <= 'Z')
		return digit - 'A';
	if (digit >= 'a' && digit <= 'z')
		return digit - 'a' + 26;
	if (digit >= '0' && digit <= '9')
		return digit - '0' + 52;
	if (digit == '+' || digit == '-')
		return 62;
	return digit == '/' || digit == '_' ? 63 : -1;
}

/* Without its padding, if it has the right one or none. */
static struct slice base64_trim(struct slice text)
{
	size_t padding = 0;
	while (text.size % 4 == 0 && padding < 2 && padding < text.size &&
		text.data[text.size - 1 - padding] == '=')
		padding++;
	return slice_of(text.data, text.size - padding);
}

/* Nil for what is no base 64: texts come from clients. Bits left over must be zero, so that no two
 * texts stand for the same bytes. */
static int crypto_from_base64(lua_State *L)
{
	struct slice text = base64_trim(check_bytes(L, 1));
	luaL_Buffer buffer;
	char *out = luaL_buffinitsize(L, &buffer, text.size / 4 * 3 + 3);
	size_t size = 0;
	uint32_t bits = 0;
	int bit_count = 0;
	bool is_fine = text.size % 4 != 1;
	for (size_t i = 0; i < text.size && is_fine; i++) {
		int value = base64_value(text.data[i]);
		is_fine = value >= 0;
		bits = (bits << 6 | ((uint32_t)value & 63)) & 0xffff;
		bit_count += 6;
		if (bit_count >= 8) {
			bit_count -= 8;
			out[size++] = (char)(bits >> bit_count & 0xff);
		}
	}
	is_fine = is_fine && (bits & ((1u << bit_count) - 1)) == 0;
	if (is_fine)
		luaL_pushresultsize(&buffer, size);
	else
		luaL_pushfail(L);
	return 1;
}

/* The time it takes depends on the lengths alone. */
static int crypto_equal(lua_State *L)
{
	struct slice a = check_bytes(L, 1), b = check_bytes(L, 2);
	lua_pushboolean(L, a.size == b.size && CRYPTO_memcmp(a.data, b.data, a.size) == 0);
	return 1;
}

/*
 * Tokens of leases: the function is the one of the paper, and only the very token is taken.
 */
#include "lease/lease_token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The paper's key, the bytes 00 to 0f. */
static const struct lease_key key = { 0x0706050403020100u, 0x0f0e0d0c0b0a0908u };

static void is_siphash_2_4_of_the_serial_number(void **state)
{
	/* From OpenSSL: openssl mac -macopt hexkey:... -macopt size:16 SIPHASH. */
	static const struct {
		uint64_t serial;
		const char *token;
	} known[] = {
		{ 0, "c293ab68efe6f296bd92a49d6257801d" },
		{ 1, "f270b484f072aabc016488cb6f60a4d4" },
		{ UINT64_MAX, "1c34f598eafc0fe100ec4f81f2ba5e1a" },
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		char token[LEASE_TOKEN_BYTES + 1];
		lease_token_make(key, known[i].serial, token);
		assert_string_equal(token, known[i].token);
	}
}

static void depends_on_the_serial_number_and_on_both_halves_of_the_key(void **state)
{
	char token[LEASE_TOKEN_BYTES + 1], other[LEASE_TOKEN_BYTES + 1];
	lease_token_make(key, 7, token);
	lease_token_make(key, 8, other);
	assert_false(lease_token_is(token, slice_text(other)));
	lease_token_make((struct lease_key){ key.a ^ 1, key.b }, 7, other);
	assert_false(lease_token_is(token, slice_text(other)));
	lease_token_make((struct lease_key){ key.a, key.b ^ 1 }, 7, other);
	assert_false(lease_token_is(token, slice_text(other)));
	lease_token_make(key, 7, other);
	assert_true(lease_token_is(token, slice_text(other)));
}

static void takes_nothing_that_differs_in_a_byte_or_in_its_size(void **state)
{
	char token[LEASE_TOKEN_BYTES + 1], other[LEASE_TOKEN_BYTES + 2] = { 0 };
	lease_token_make(key, 1, token);
	memcpy(other, token, sizeof(token));
	for (size_t i = 0; i < LEASE_TOKEN_BYTES; i++) {
		for (int bit = 0; bit < 8; bit++) {
			other[i] = (char)(token[i] ^ 1 << bit);
			assert_false(lease_token_is(token, slice_text(other)));
		}
		other[i] = token[i];
	}
	assert_false(lease_token_is(token, slice_of(other, LEASE_TOKEN_BYTES - 1)));
	assert_false(lease_token_is(token, slice_of(other, LEASE_TOKEN_BYTES + 1)));
	assert_false(lease_token_is(token, slice_of(NULL, 0)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_siphash_2_4_of_the_serial_number),
		cmocka_unit_test(depends_on_the_serial_number_and_on_both_halves_of_the_key),
		cmocka_unit_test(takes_nothing_that_differs_in_a_byte_or_in_its_size),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

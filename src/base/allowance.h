/*
 * allowance: what this process may use of the machine: the least of what the machine has, what the
 * control groups above it allow (version 1 and 2) and its own resource limits.
 */
#ifndef BASE_ALLOWANCE_H
#define BASE_ALLOWANCE_H

#include <stdint.h>

#define ALLOWANCE_UNLIMITED UINT64_MAX

struct allowance {
	uint64_t memory_bytes;   /* beyond it allocations fail, or the kernel ends the process */
	uint64_t address_bytes;  /* of address space, maps of files included */
	uint32_t cores;          /* worth of processor time; at least 1 */
	const char *memory_from; /* what set memory_bytes, in words; a constant */
};

/* Reads them once; they may change later, and nobody is told. `root` stands in front of /proc and
 * /sys: "" but in tests. What cannot be read limits nothing. */
void allowance_read(struct allowance *out, const char *root);

#endif

/*
 * test_allowance: what a process may use, read from a machine made of files: a directory in place
 * of /, with as much of /proc and /sys in it as the test puts there.
 */
#include "base/allowance.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MB ((uint64_t)1 << 20)

static int make_machine(void **state)
{
	char *root = strdup("/tmp/test_allowance.XXXXXX");
	*state = root;
	return mkdtemp(root) ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	return remove(path);
}

static int drop_machine(void **state)
{
	int result = nftw(*state, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	free(*state);
	return result;
}

/* A file with this text, and the directories that lead to it. */
static void put(const char *root, const char *name, const char *text)
{
	char path[512];
	snprintf(path, sizeof(path), "%s%s", root, name);
	for (char *slash = strchr(path + strlen(root) + 1, '/'); slash;
		slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void put_memory(const char *root, unsigned gib)
{
	char text[128];
	snprintf(text, sizeof(text), "MemTotal:       %u kB\nMemFree:        1 kB\n", gib << 20);
	put(root, "/proc/meminfo", text);
}

static void check(const char *root, uint64_t bytes, const char *from)
{
	struct allowance allowance;
	allowance_read(&allowance, root);
	if (allowance.memory_bytes != bytes)
		fail_msg("%llu bytes (%s)", (unsigned long long)allowance.memory_bytes,
			allowance.memory_from);
	assert_non_null(strstr(allowance.memory_from, from));
}

static uint32_t cores(const char *root)
{
	struct allowance allowance;
	allowance_read(&allowance, root);
	return allowance.cores;
}

static void without_any_file_the_machine_is_the_limit(void **state)
{
	struct allowance allowance;
	check(*state, memory_total(), "the machine's memory");
	allowance_read(&allowance, *state);
	assert_true(allowance.address_bytes == ALLOWANCE_UNLIMITED);
	assert_in_range(allowance.cores, 1, 100000);
}

static void what_meminfo_says_counts_when_it_is_less(void **state)
{
	put(*state, "/proc/meminfo", "MemTotal:         262144 kB\n");
	check(*state, 256 * MB, "the machine's memory");
}

static void a_group_of_version_2_limits(void **state)
{
	put(*state, "/proc/self/cgroup", "0::/system.slice/holdfast.service\n");
	put(*state, "/sys/fs/cgroup/system.slice/holdfast.service/memory.max", "536870912\n");
	check(*state, 512 * MB, "control group");
	put(*state, "/sys/fs/cgroup/system.slice/holdfast.service/memory.max", "max\n");
	check(*state, memory_total(), "the machine's memory");
	put(*state, "/sys/fs/cgroup/system.slice/holdfast.service/memory.high", "134217728\n");
	check(*state, 128 * MB, "memory.high");
}

static void a_group_above_limits_too(void **state)
{
	put(*state, "/proc/self/cgroup", "0::/a/b/c\n");
	put(*state, "/sys/fs/cgroup/a/b/c/memory.max", "536870912\n");
	put(*state, "/sys/fs/cgroup/a/memory.max", "268435456\n");
	check(*state, 256 * MB, "control group");
}

static void within_a_container_its_group_is_the_root(void **state)
{
	put(*state, "/proc/self/cgroup", "0::/\n");
	put(*state, "/sys/fs/cgroup/memory.max", "104857600\n");
	check(*state, 100 * MB, "control group");
}

static void a_group_of_version_1_limits(void **state)
{
	put(*state, "/proc/self/cgroup",
		"12:pids:/\n9:cpu,cpuacct:/docker/12\n4:hugetlb,memory:/docker/12\n1:name=systemd:/x\n");
	put(*state, "/sys/fs/cgroup/memory/docker/12/memory.limit_in_bytes", "536870912\n");
	check(*state, 512 * MB, "control group");
	put(*state, "/sys/fs/cgroup/memory/docker/12/memory.limit_in_bytes",
		"9223372036854771712\n");
	check(*state, memory_total(), "the machine's memory");
}

/* The path is one of the host; what is mounted is the container's own group. */
static void a_path_that_a_container_does_not_see_is_no_obstacle(void **state)
{
	put(*state, "/proc/self/cgroup", "4:memory:/docker/12\n0::/../../host\n");
	put(*state, "/sys/fs/cgroup/memory/memory.limit_in_bytes", "67108864\n");
	check(*state, 64 * MB, "control group");
}

static void only_the_controller_itself_is_meant(void **state)
{
	put(*state, "/proc/self/cgroup", "4:memoryless,xmemory:/\n");
	put(*state, "/sys/fs/cgroup/memory/memory.limit_in_bytes", "67108864\n");
	check(*state, memory_total(), "the machine's memory");
}

static void what_is_no_number_limits_nothing(void **state)
{
	put(*state, "/proc/self/cgroup", "garbage\n0:\n0::/\n::\n");
	put(*state, "/sys/fs/cgroup/memory.max", "");
	check(*state, memory_total(), "the machine's memory");
	put(*state, "/sys/fs/cgroup/memory.max", "apples\n");
	put(*state, "/sys/fs/cgroup/memory.high", "-1\n");
	check(*state, memory_total(), "the machine's memory");
	put(*state, "/sys/fs/cgroup/memory.max", "99999999999999999999999\n");
	check(*state, memory_total(), "the machine's memory");
}

static void put_limits(const char *root, const char *address, const char *data)
{
	char text[512];
	snprintf(text, sizeof(text),
		"Limit                     Soft Limit           Hard Limit           Units     \n"
		"Max data size             %-20s unlimited            bytes     \n"
		"Max address space         %-20s unlimited            bytes     \n",
		data, address);
	put(root, "/proc/self/limits", text);
}

static void resource_limits_limit(void **state)
{
	struct allowance allowance;
	put_limits(*state, "unlimited", "209715200");
	check(*state, 200 * MB, "data size");
	put_limits(*state, "209715200", "unlimited");
	check(*state, 100 * MB, "address space");
	allowance_read(&allowance, *state);
	assert_true(allowance.address_bytes == 200 * MB);
}

static void the_least_of_all_counts(void **state)
{
	put_memory(*state, 1);
	put_limits(*state, "1073741824", "314572800");
	put(*state, "/proc/self/cgroup", "0::/a\n");
	put(*state, "/sys/fs/cgroup/a/memory.max", "419430400\n");
	check(*state, 300 * MB, "data size");
}

static void processor_time_counts_as_cores(void **state)
{
	uint32_t all = cores(*state);
	put(*state, "/proc/self/cgroup", "0::/a\n3:cpu,cpuacct:/b\n");
	put(*state, "/sys/fs/cgroup/a/cpu.max", "50000 100000\n");
	assert_int_equal(cores(*state), 1);
	put(*state, "/sys/fs/cgroup/a/cpu.max", "max 100000\n");
	assert_int_equal(cores(*state), all);
	put(*state, "/sys/fs/cgroup/cpu/b/cpu.cfs_quota_us", "-1\n");
	put(*state, "/sys/fs/cgroup/cpu/b/cpu.cfs_period_us", "100000\n");
	assert_int_equal(cores(*state), all);
	put(*state, "/sys/fs/cgroup/cpu/b/cpu.cfs_quota_us", "99000\n");
	assert_int_equal(cores(*state), 1);
}

/* The files of this machine, and limits as setrlimit sets them. */
static void reads_the_real_machine(void **state)
{
#ifdef __SANITIZE_ADDRESS__
	print_message("the address sanitizer's own memory is beyond any such limit\n");
	skip();
#endif
	pid_t child = fork();
	if (child == 0) {
		struct rlimit limit = { 300 * MB, 300 * MB };
		struct allowance allowance;
		if (setrlimit(RLIMIT_DATA, &limit) != 0)
			_exit(2);
		allowance_read(&allowance, "");
		_exit(allowance.memory_bytes <= 300 * MB ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_machine, drop_machine)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_any_file_the_machine_is_the_limit),
		TEST(what_meminfo_says_counts_when_it_is_less),
		TEST(a_group_of_version_2_limits),
		TEST(a_group_above_limits_too),
		TEST(within_a_container_its_group_is_the_root),
		TEST(a_group_of_version_1_limits),
		TEST(a_path_that_a_container_does_not_see_is_no_obstacle),
		TEST(only_the_controller_itself_is_meant),
		TEST(what_is_no_number_limits_nothing),
		TEST(resource_limits_limit),
		TEST(the_least_of_all_counts),
		TEST(processor_time_counts_as_cores),
		TEST(reads_the_real_machine),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

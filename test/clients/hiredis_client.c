/*
 * hiredis_client: the C client library against a real server, in RESP2.
 *
 * usage: hiredis_client path/to/holdfast-server
 *
 * One server serves all tests: a child process on a free port of the loopback, its data in a
 * directory of its own. Every test begins with an empty database and a connection of its own. The
 * child is told to stop at the end, and removed with its directory; should the test itself die, the
 * kernel ends the child.
 *
 * Hiredis gives replies their types as the protocol has them, so the tests look at the type of each
 * reply before its value.
 */
#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_MS_MAX    60000
#define ANSWER_S_MAX    30
#define PIPELINE_LENGTH 5000
#define LARGE_BYTES     (3 * 1024 * 1024)

static const char *program;
static char directory[] = "/tmp/holdfast-hiredis-XXXXXX";
static int port;
static pid_t server;

/* Below the ports that the kernel gives to clients: a connection of somebody may have one of those.
 */
static int find_free_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int first = 10000 + (int)getpid() % 10000, found = 0;

	for (int i = 0; i < 10000 && !found; i++) {
		int probe = socket(AF_INET, SOCK_STREAM, 0);

		assert_true(probe >= 0);
		address.sin_port = htons((uint16_t)(first + i));
		if (bind(probe, (struct sockaddr *)&address, sizeof address) == 0)
			found = first + i;
		close(probe);
	}
	assert_true(found);
	return found;
}

static void run_server(void)
{
	char port_text[16];
	int null = open("/dev/null", O_RDWR);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	snprintf(port_text, sizeof port_text, "%d", port);
	execl(program, program, "--port", port_text, "--bind", "127.0.0.1", "--dir", directory,
		(char *)NULL);
	perror(program);
	_exit(127);
}

static redisContext *connect_when_ready(void)
{
	struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
	struct timeval answer_time_max = { .tv_sec = ANSWER_S_MAX };

	for (int waited_ms = 0; waited_ms < START_MS_MAX; waited_ms += 10) {
		redisContext *context = redisConnect("127.0.0.1", port);

		assert_non_null(context);
		if (context->err == 0) {
			assert_int_equal(redisSetTimeout(context, answer_time_max), REDIS_OK);
			return context;
		}
		redisFree(context);
		assert_int_equal(waitpid(server, NULL, WNOHANG), 0);
		nanosleep(&pause, NULL);
	}
	fail_msg("the server does not answer");
	return NULL;
}

static int start(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(directory));
	port = find_free_port();
	server = fork();
	assert_true(server >= 0);
	if (server == 0)
		run_server();
	redisFree(connect_when_ready());
	return 0;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	(void)status;
	(void)kind;
	(void)walk;
	return remove(path);
}

static int stop(void **state)
{
	int status = -1;

	(void)state;
	kill(server, SIGTERM);
	assert_int_equal(waitpid(server, &status, 0), server);
	nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static int begin(void **state)
{
	redisContext *context = connect_when_ready();

	freeReplyObject(redisCommand(context, "FLUSHALL"));
	*state = context;
	return 0;
}

static int end(void **state)
{
	redisFree(*state);
	return 0;
}

/* Takes the reply. */
static void expect_text(redisReply *reply, int type, const char *text)
{
	assert_non_null(reply);
	assert_int_equal(reply->type, type);
	assert_int_equal(reply->len, strlen(text));
	assert_memory_equal(reply->str, text, strlen(text));
	freeReplyObject(reply);
}

/* Takes the reply. */
static void expect_integer(redisReply *reply, long long number)
{
	assert_non_null(reply);
	assert_int_equal(reply->type, REDIS_REPLY_INTEGER);
	assert_int_equal(reply->integer, number);
	freeReplyObject(reply);
}

static void gives_each_reply_its_type(void **state)
{
	redisContext *c = *state;
	redisReply *reply;

	expect_text(redisCommand(c, "PING"), REDIS_REPLY_STATUS, "PONG");
	expect_text(redisCommand(c, "SET %s %s", "key", "value"), REDIS_REPLY_STATUS, "OK");
	expect_text(redisCommand(c, "GET key"), REDIS_REPLY_STRING, "value");
	expect_integer(redisCommand(c, "STRLEN key"), 5);
	expect_text(redisCommand(c, "INCR key"), REDIS_REPLY_ERROR,
		"ERR value is not an integer or out of range");

	reply = redisCommand(c, "GET none");
	assert_int_equal(reply->type, REDIS_REPLY_NIL);
	freeReplyObject(reply);

	reply = redisCommand(c, "MGET key none key");
	assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
	assert_int_equal(reply->elements, 3);
	assert_int_equal(reply->element[0]->type, REDIS_REPLY_STRING);
	assert_int_equal(reply->element[1]->type, REDIS_REPLY_NIL);
	assert_string_equal(reply->element[2]->str, "value");
	freeReplyObject(reply);
}

static void shows_a_map_as_a_flat_array(void **state)
{
	redisReply *reply = redisCommand(*state, "HELLO 2");

	assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
	assert_int_equal(reply->elements, 14);
	for (size_t i = 0; i < reply->elements; i += 2) {
		assert_int_equal(reply->element[i]->type, REDIS_REPLY_STRING);
		if (strcmp(reply->element[i]->str, "proto") == 0)
			assert_int_equal(reply->element[i + 1]->integer, 2);
	}
	freeReplyObject(reply);
}

static void answers_a_pipeline_in_its_order(void **state)
{
	redisContext *c = *state;
	void *reply;

	for (int i = 0; i < PIPELINE_LENGTH; i++) {
		assert_int_equal(redisAppendCommand(c, "SET key:%d %d", i, i), REDIS_OK);
		assert_int_equal(redisAppendCommand(c, "INCR counter"), REDIS_OK);
		assert_int_equal(redisAppendCommand(c, "GET key:%d", i), REDIS_OK);
	}
	for (int i = 0; i < PIPELINE_LENGTH; i++) {
		char number[16];

		snprintf(number, sizeof number, "%d", i);
		assert_int_equal(redisGetReply(c, &reply), REDIS_OK);
		expect_text(reply, REDIS_REPLY_STATUS, "OK");
		assert_int_equal(redisGetReply(c, &reply), REDIS_OK);
		expect_integer(reply, i + 1);
		assert_int_equal(redisGetReply(c, &reply), REDIS_OK);
		expect_text(reply, REDIS_REPLY_STRING, number);
	}
	expect_integer(redisCommand(c, "DBSIZE"), PIPELINE_LENGTH + 1);
}

static void keeps_every_byte_of_a_large_value(void **state)
{
	redisContext *c = *state;
	char *bytes = malloc(LARGE_BYTES);
	redisReply *reply;

	assert_non_null(bytes);
	for (size_t i = 0; i < LARGE_BYTES; i++)
		bytes[i] = (char)(i * 31 >> 3);
	expect_text(redisCommand(c, "SET %b %b", "a\0b", (size_t)3, bytes, (size_t)LARGE_BYTES),
		REDIS_REPLY_STATUS, "OK");
	reply = redisCommand(c, "GET %b", "a\0b", (size_t)3);
	assert_int_equal(reply->type, REDIS_REPLY_STRING);
	assert_int_equal(reply->len, LARGE_BYTES);
	assert_memory_equal(reply->str, bytes, LARGE_BYTES);
	freeReplyObject(reply);
	free(bytes);
}

static void changes_many_keys_at_once(void **state)
{
	redisContext *c = *state;

	expect_text(redisCommand(c, "MSET a 1 b 2 c 3"), REDIS_REPLY_STATUS, "OK");
	expect_integer(redisCommand(c, "MSETNX d 4 a 5"), 0);
	expect_integer(redisCommand(c, "EXISTS a b c d a"), 4);
	expect_text(redisCommand(c, "RENAME a d"), REDIS_REPLY_STATUS, "OK");
	expect_integer(redisCommand(c, "DEL a b c d"), 3);
	expect_integer(redisCommand(c, "DBSIZE"), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(gives_each_reply_its_type, begin, end),
		cmocka_unit_test_setup_teardown(shows_a_map_as_a_flat_array, begin, end),
		cmocka_unit_test_setup_teardown(answers_a_pipeline_in_its_order, begin, end),
		cmocka_unit_test_setup_teardown(keeps_every_byte_of_a_large_value, begin, end),
		cmocka_unit_test_setup_teardown(changes_many_keys_at_once, begin, end),
	};

	if (argc != 2) {
		fprintf(stderr, "usage: %s path/to/holdfast-server\n", argv[0]);
		return 2;
	}
	program = argv[1];
	return cmocka_run_group_tests(tests, start, stop);
}

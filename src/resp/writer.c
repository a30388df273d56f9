/*
 * writer: every reply is made by these functions, so that a handler never asks which protocol the
 * client speaks. Lengths and integers are formatted by hand and straight into the buffer, because
 * they are in every reply; doubles are rare and go through printf.
 *
 * The longest line of fixed form is a type byte, an integer and the line end; each function
 * reserves its whole reply at once.
 *
 * Threads: that of the owner of the buffer.
 */
#include "resp/writer.h"

#include "base/number.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define LENGTH_LINE_MAX (1 + NUMBER_I64_TEXT_MAX + 2)

static void length_line(struct buffer *out, char type, int64_t value);
static char *length_line_put(char *at, char type, int64_t value);
static void text_format(struct buffer *out, const char *format, va_list list)
	__attribute__((format(printf, 2, 0)));

void writer_ok(struct writer *writer)
{
	buffer_append(writer->out, "+OK\r\n", 5);
}

void writer_simple(struct writer *writer, const char *text)
{
	size_t size = strlen(text);
	assert(memchr(text, '\r', size) == NULL);
	assert(memchr(text, '\n', size) == NULL);
	char *at = buffer_reserve(writer->out, 1 + size + 2);
	*at++ = '+';
	memcpy(at, text, size);
	memcpy(at + size, "\r\n", 2);
	writer->out->size += 1 + size + 2;
}

void writer_error(struct writer *writer, const char *format, ...)
{
	struct buffer *out = writer->out;
	buffer_append(out, "-", 1);
	size_t start = out->size;
	va_list list;
	va_start(list, format);
	text_format(out, format, list);
	va_end(list);
	for (char *c = out->data + start; c < out->data + out->size; c++) {
		if (*c == '\r' || *c == '\n')
			*c = ' ';
	}
	buffer_append(out, "\r\n", 2);
}

void writer_integer(struct writer *writer, int64_t value)
{
	length_line(writer->out, ':', value);
}

void writer_bulk(struct writer *writer, struct slice bytes)
{
	struct buffer *out = writer->out;
	if (writer->limit && out->size + bytes.size > writer->limit) {
		writer->full = true;
		return;
	}
	char *start = buffer_reserve(out, LENGTH_LINE_MAX + bytes.size + 2);
	char *at = length_line_put(start, '$', (int64_t)bytes.size);
	if (bytes.size)
		memcpy(at, bytes.data, bytes.size);
	at += bytes.size;
	memcpy(at, "\r\n", 2);
	out->size += (size_t)(at + 2 - start);
}

void writer_bulk_text(struct writer *writer, const char *text)
{
	writer_bulk(writer, slice_text(text));
}

void writer_bulk_format(struct writer *writer, const char *format, ...)
{
	struct buffer text;
	buffer_init(&text);
	va_list list;
	va_start(list, format);
	text_format(&text, format, list);
	va_end(list);
	writer_bulk(writer, buffer_slice(&text));
	buffer_fini(&text);
}

void writer_null(struct writer *writer)
{
	if (writer->protocol >= 3)
		buffer_append(writer->out, "_\r\n", 3);
	else
		buffer_append(writer->out, "$-1\r\n", 5);
}

void writer_null_array(struct writer *writer)
{
	if (writer->protocol >= 3)
		buffer_append(writer->out, "_\r\n", 3);
	else
		buffer_append(writer->out, "*-1\r\n", 5);
}

void writer_array(struct writer *writer, size_t count)
{
	length_line(writer->out, '*', (int64_t)count);
}

void writer_map(struct writer *writer, size_t pairs)
{
	if (writer->protocol >= 3)
		length_line(writer->out, '%', (int64_t)pairs);
	else
		length_line(writer->out, '*', (int64_t)(2 * pairs));
}

void writer_set(struct writer *writer, size_t count)
{
	length_line(writer->out, writer->protocol >= 3 ? '~' : '*', (int64_t)count);
}

void writer_push(struct writer *writer, size_t count)
{
	length_line(writer->out, writer->protocol >= 3 ? '>' : '*', (int64_t)count);
}

void writer_double(struct writer *writer, double value)
{
	char text[NUMBER_DOUBLE_TEXT_MAX];
	size_t size = number_format_double(text, value);
	if (writer->protocol < 3) {
		writer_bulk(writer, slice_of(text, size));
		return;
	}
	buffer_append(writer->out, ",", 1);
	buffer_append(writer->out, text, size);
	buffer_append(writer->out, "\r\n", 2);
}

void writer_boolean(struct writer *writer, bool value)
{
	if (writer->protocol >= 3)
		buffer_append(writer->out, value ? "#t\r\n" : "#f\r\n", 4);
	else
		buffer_append(writer->out, value ? ":1\r\n" : ":0\r\n", 4);
}

void writer_verbatim(struct writer *writer, const char *format, struct slice text)
{
	assert(strlen(format) == 3);
	if (writer->protocol < 3) {
		writer_bulk(writer, text);
		return;
	}
	length_line(writer->out, '=', (int64_t)(text.size + 4));
	buffer_append(writer->out, format, 3);
	buffer_append(writer->out, ":", 1);
	buffer_append(writer->out, text.data, text.size);
	buffer_append(writer->out, "\r\n", 2);
}

static void length_line(struct buffer *out, char type, int64_t value)
{
	char *start = buffer_reserve(out, LENGTH_LINE_MAX);
	out->size += (size_t)(length_line_put(start, type, value) - start);
}

/* Returns the end of the line. */
static char *length_line_put(char *at, char type, int64_t value)
{
	*at++ = type;
	at += number_format_i64(at, value);
	memcpy(at, "\r\n", 2);
	return at + 2;
}

static void text_format(struct buffer *out, const char *format, va_list list)
{
	va_list again;
	va_copy(again, list);
	size_t room = 128;
	char *at = buffer_reserve(out, room);
	int size = vsnprintf(at, room, format, list);
	assert(size >= 0);
	if ((size_t)size >= room) {
		room = (size_t)size + 1;
		at = buffer_reserve(out, room);
		vsnprintf(at, room, format, again);
	}
	va_end(again);
	out->size += (size_t)size;
}

/* csv.h - a text of records with separators between their fields, record by record (RFC 4180), gzipped or not.
 *
 * A field may stand in quotes, and hold separators, lines and doubled quotes then.  Lines end with LF, CRLF or CR; a
 * mark of UTF-8 at the beginning, empty lines, and spaces around a field are passed over.  What is no such text is
 * refused with its line.
 */
#ifndef CSV_H
#define CSV_H

#include "formats/packed_file.h"

struct csv_field {
    const char *text;
    size_t length;
    bool quoted;
};

struct csv_reader {
    struct packed_file file;
    char separator;
    int64_t line;               /* that is being read, from 1 */
    /* the record */
    int64_t record_line;        /* where it begins */
    struct csv_field *fields;
    int fields_count;
    /* the reader's own */
    int fields_room;
    char *text, *buffer;
    size_t text_used, text_room, buffer_used, buffer_at;
    bool after_cr, began;
};

/* 0, or -1 with a message; rt_csv_close() frees it in either case. */
int rt_csv_open(struct csv_reader *r, const char *path, char separator);
void rt_csv_close(struct csv_reader *r);
/* 1: there is a record, until the next call; 0: the end; -1: a message is out. */
int rt_csv_next(struct csv_reader *r);

#endif

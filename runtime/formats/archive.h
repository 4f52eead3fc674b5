/* archive.h - zip archives (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT): the directory, and members
 * read from their first byte to the last, stored or deflated.
 *
 * The directory, at the file's end, says where each member lies and how long it is; what the member itself says of that
 * is passed over.  A size is believed only as far as the file holds so many bytes, and no two members share any.  Every
 * message begins with the file's name.
 */
#ifndef ARCHIVE_H
#define ARCHIVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <zlib.h>

struct archive_member {
    char *name;                 /* malloc'd */
    uint64_t header, data;      /* where its own header and what is packed begin in the file */
    uint64_t packed, size;      /* bytes there, bytes unpacked */
    uint32_t checksum;
    int method;
    bool encrypted;
};

struct archive {
    char *path;                 /* malloc'd */
    int fd;
    struct stat status;         /* when it was opened */
    struct archive_member *members;
    int count;
};

/* Whether the file begins as a zip archive.  false also where it cannot be read. */
bool rt_archive_is(const char *path);

/* Opens it and reads its directory.  0, or -1 with a message; rt_archive_close() frees it in either case. */
int rt_archive_open(struct archive *a, const char *path);
void rt_archive_close(struct archive *a);

/* The message that a member (NULL: the archive) is wrong: half a sentence behind its name.  -1. */
int rt_archive_fault(const struct archive *a, const struct archive_member *m, const char *what);

/* Whether its bytes lie in the file as they are. */
bool rt_member_stored(const struct archive_member *m);

struct member_stream {
    const struct archive *archive;
    const struct archive_member *member;
    uint64_t at, taken;         /* how much of `packed` and of `size` is through */
    uint32_t sum;               /* of what is */
    unsigned char *room;        /* malloc'd: what is being unpacked */
    z_stream z;
    bool unpacks;               /* z is in use */
};

/* Of a member that cannot be unpacked nothing is read.  0, or -1 with a message; rt_member_close() frees it in either
 * case. */
int rt_member_open(struct member_stream *s, const struct archive *a, const struct archive_member *m);
void rt_member_close(struct member_stream *s);
/* The next `size` bytes, of as many as the member has; the last of them are given only where all that were fit the
 * checksum.  0, or -1 with a message. */
int rt_member_read(struct member_stream *s, void *to, uint64_t size);

#endif

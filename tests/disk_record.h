/* disk_record.h - what shim_disk.c writes down and disk_model.h reads: this, then path and target
 * with their 0, then the data. */
#ifndef DISK_RECORD_H
#define DISK_RECORD_H

#include <stdint.h>

enum {
	DISK_CREATE = 'c',
	DISK_WRITE = 'w',    /* data at `at` */
	DISK_TRUNCATE = 't', /* to `at` bytes */
	DISK_RENAME = 'r',
	DISK_REMOVE = 'u', /* a file or an empty folder */
	DISK_FOLDER = 'm',
	DISK_SYNC = 's', /* of a file or of a folder */
};

struct disk_record {
	char     what;
	uint32_t n_path, n_to;
	uint64_t at, n_data;
};

#endif

/* The version of the programs, of the packages and of the manual: nowhere else. */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#define MARRAM_VERSION "0.1.0"
#define MARRAM_DATE    "2026-11-28" /* of the version */

#endif

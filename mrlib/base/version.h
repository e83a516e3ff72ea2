/* The version of the programs, of the packages and of the manual: nowhere else. */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#define MARRAM_VERSION "0.1.0"

#endif

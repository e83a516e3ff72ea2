/* Whose a staging folder is. That of a coordinator with a journal belongs to the job: another
 * life goes on with it. That of one without ends with its process, and says so by a file in it,
 * which is locked as long as the process lives. When a process was killed, the next job with
 * the same output removes what it left. */
#ifndef COORDINATOR_STAGING_H
#define COORDINATOR_STAGING_H

/* Marks the folder as this process's. Returns a descriptor to be kept for as long as that
 * holds, -1 when the file cannot be made or locked: nobody will remove the folder then. */
int staging_claim(const char *folder);

/* Takes the mark away, before the folder becomes an output; the descriptor stays the caller's.
 */
void staging_unmark(const char *folder);

/* Removes marked folders beside `folder` whose names begin as its own does, up to the last '-',
 * and whose owners were processes of this machine that are dead. All others stay. */
void staging_sweep(const char *folder);

#endif

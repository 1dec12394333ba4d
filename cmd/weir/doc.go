// Command weir is an MCP gateway: it joins many MCP servers behind one endpoint, for any MCP client.
//
// The program stands around the line: it reads the command line and the configuration, wires the packages together
// (internal/app), and prints. There is one file for each command; main is short, and nothing outside of this folder is imported by name
// of a command.
//
// Decisions:
//
//   - Bare weir looks around and says what to type next. The top level of commands is precious: there is no start, stop or status,
//     because service managers do that.
//   - Standard output is what was asked for, standard error is everything else. main takes standard output away from the rest of the program before
//     anything runs, so that no stray print can break the protocol of weir stdio.
//   - weir stdio hands its client over to a weir serve of the same user and file when there is one (internal/join): ten clients need one set of servers.
//   - ls, tools and call have the weir serve do it that runs for the same user and file: what it knows of its servers no second set of them does. Without one they
//     start what they need in their own process for the one command. Either way they go through the same gateway as any client. ls asks it even when
//     the file is another by now, and says so; tools and call do what the file says that is there.
package main

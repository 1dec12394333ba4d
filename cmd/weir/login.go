package main

import (
	"bufio"
	"context"
	"io"
	"os/exec"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"weir/cmd/weir/internal/app"
	"weir/cmd/weir/internal/config"
)

// login is weir login UPSTREAM.
func (c *cli) login() *cobra.Command {
	var quiet, paste bool
	cmd := &cobra.Command{
		Use: "login UPSTREAM", Short: "sign in to an upstream that wants a user's own sign-in",
		Long: "Open a browser for the sign-in of this machine's user at an upstream (credentials.mcp.grant: authorization_code). The tokens are kept\n" +
			"encrypted; a gateway that runs uses them at once.\n\n" +
			"With --paste the browser can be on another machine. It ends at an address that it cannot reach; paste that address here.",
		Example: "  weir login issues\n  weir login issues --paste", Args: between(1, 1, "UPSTREAM"),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := c.read(nil)
			if err != nil {
				return err
			}
			env := app.Env{Config: c.env, Log: c.quiet(file), Version: thisBuild().Version}
			if paste {
				err = app.LoginElsewhere(cmd.Context(), file, env, args[0], func(link string) {
					c.Note("open this in any browser, within %s, and paste the address that it ends at:\n%s", app.LoginWait, link)
				}, firstLine(c.In))
			} else {
				err = c.loginHere(cmd.Context(), file, env, args[0], quiet)
			}
			if err == nil {
				c.Printf("signed in to %s\n", args[0])
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&quiet, "no-browser", false, "print the link only")
	cmd.Flags().BoolVar(&paste, "paste", false, "sign in with a browser on another machine")
	cmd.MarkFlagsMutuallyExclusive("no-browser", "paste")
	return cmd
}

// loginHere signs in with a browser on this machine.
func (c *cli) loginHere(ctx context.Context, file *config.File, env app.Env, name string, quiet bool) error {
	return app.Login(ctx, file, env, name, func(link string) {
		c.Note("open this in a browser on this machine, within %s:\n%s", app.LoginWait, link)
		if !quiet {
			browse(link)
		}
	})
}

// firstLine reads one line of in; the channel is closed when there is none.
func firstLine(in io.Reader) <-chan string {
	lines := make(chan string, 1)
	go func() { // a read of standard input cannot be interrupted
		defer close(lines)
		if line, _ := bufio.NewReader(in).ReadString('\n'); strings.TrimSpace(line) != "" {
			lines <- line
		}
	}()
	return lines
}

// browse opens a link, which weir made, in the user's browser if there is one. The link is printed too, so a failure changes nothing.
func browse(link string) {
	program, args := "xdg-open", []string{link}
	switch runtime.GOOS {
	case "darwin":
		program = "open"
	case "windows":
		program, args = "rundll32", []string{"url.dll,FileProtocolHandler", link}
	}
	if cmd := exec.Command(program, args...); cmd.Start() == nil { //nolint:noctx // the browser outlives the command
		go func() { _ = cmd.Wait() }()
	}
}

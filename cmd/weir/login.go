package main

import (
	"os/exec"
	"runtime"

	"github.com/spf13/cobra"

	"weir/cmd/weir/internal/app"
)

// login is weir login UPSTREAM.
func (c *cli) login() *cobra.Command {
	var quiet bool
	cmd := &cobra.Command{
		Use: "login UPSTREAM", Short: "sign in to an upstream that wants a user's own sign-in",
		Long: "Open a browser for the sign-in of this machine's user at an upstream (credentials.mcp.grant: authorization_code). The tokens are kept\n" +
			"encrypted; a gateway that runs uses them at once.",
		Example: "  weir login issues", Args: between(1, 1, "UPSTREAM"),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := c.read(nil)
			if err != nil {
				return err
			}
			env := app.Env{Config: c.env, Log: c.quiet(file), Version: thisBuild().Version}
			err = app.Login(cmd.Context(), file, env, args[0], func(link string) {
				c.Note("open this in a browser on this machine, within %s:\n%s", app.LoginWait, link)
				if !quiet {
					browse(link)
				}
			})
			if err == nil {
				c.Printf("signed in to %s\n", args[0])
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&quiet, "no-browser", false, "print the link only")
	return cmd
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

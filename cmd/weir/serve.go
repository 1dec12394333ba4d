package main

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"weir/catalog"
	"weir/cmd/weir/internal/app"
	"weir/cmd/weir/internal/config"
	"weir/cmd/weir/internal/join"
	"weir/upstream/process"
)

// serve is weir serve [FILE].
func (c *cli) serve() *cobra.Command {
	var listen string
	var insecure bool
	cmd := &cobra.Command{
		Use: "serve [FILE]", Short: "run the gateway on HTTP",
		Long: "Run the gateway on HTTP (Streamable HTTP, both eras). FILE is a configuration of weir's or an MCP client's own.\n" +
			"It is read again when it changes and on SIGHUP. SIGTERM lets the calls in flight finish; a second one does not.\n" +
			"Every weir stdio of the same user and FILE joins it; weir ls, tools and call ask it.",
		Example: "  weir serve\n  weir serve ~/.cursor/mcp.json\n  weir serve --listen 127.0.0.1:8080",
		Args:    between(0, 1, ""), ValidArgsFunction: completeFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			c.outcome = "; nothing was started"
			file, err := c.read(args)
			if err != nil {
				return err
			}
			if v, ok := c.env.Lookup("WEIR_LISTEN"); ok && v != "" && listen == "" {
				listen = v
			}
			c.warn(file)
			return c.runServe(cmd.Context(), file, func(f *config.File) {
				if listen != "" {
					f.Server.Listen = listen
				}
				f.Server.InsecureNoAuth = f.Server.InsecureNoAuth || insecure
			})
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "", "listen on `ADDR` (host:port) in place of the file's; $WEIR_LISTEN does the same")
	cmd.Flags().BoolVar(&insecure, "insecure-no-auth", false, "serve addresses that other machines can reach: everybody who can connect may call everything")
	must(cmd.RegisterFlagCompletionFunc("listen", cobra.NoFileCompletions))
	return cmd
}

func (c *cli) runServe(ctx context.Context, file *config.File, override func(*config.File)) error {
	log := c.Logger(file.Log.Level, file.Log.Format)
	var ln net.Listener
	defer func() {
		if ln != nil {
			_ = ln.Close() // serving has closed it already
		}
	}()
	env := app.Env{Log: log, Override: override, Answer: answering(time.Now())}
	env.First = func(a *app.App) (err error) { // a second gateway by mistake starts nothing
		if ln, err = a.Listen(ctx); err != nil {
			return c.taken(ctx, file, err)
		}
		return nil
	}
	return c.running(file, env, func(a *app.App) error {
		if err := a.Required(ctx); err != nil {
			return err
		}
		spec, err := a.Spec()
		if err != nil {
			return err
		}
		url := "http://" + ln.Addr().String() + spec.Path
		if spec.TLS.Cert != "" {
			url = "https" + strings.TrimPrefix(url, "http")
		}
		if file.Log.Format == "json" {
			log.Info("serving", "url", url)
		} else {
			c.announce(ln.Addr(), url, file.Auth.Asked())
		}
		return a.Serve(ctx, ln)
	})
}

// taken adds to the error of an address that is in use that a gateway of the same file runs already, if it does.
func (c *cli) taken(ctx context.Context, file *config.File, err error) error {
	own, ok := errors.AsType[*catalog.Error](err)
	if !ok || !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	place, failed := join.PlaceOf(file.Path, c.env)
	if failed != nil {
		return err
	}
	gateway, failed := join.Find(ctx, place)
	if failed != nil {
		return err
	}
	y, failed := c.ask(ctx, gateway, &errand{List: new(listErrand)})
	if failed != nil || y.Gateway == nil {
		return err
	}
	runs := process.Fact{Name: "already", Text: "a gateway runs for this file " + y.Gateway.String()}
	return &catalog.Error{Code: own.Code, Msg: own.Msg, Hint: "weir ls", Err: process.Facts{runs}}
}

// announce says on standard error where the gateway is and how to talk to it.
func (c *cli) announce(addr net.Addr, url string, signIn bool) {
	c.Note("gateway  %s", url)
	if tcp, ok := addr.(*net.TCPAddr); signIn || ok && tcp.IP.IsUnspecified() {
		return // it takes a token to try, or there is no one address
	}
	c.Note(`try      curl -s %s -H 'Content-Type: application/json' -d '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'`, url)
}

// Package browser looks at the pages with a real browser.
package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

func TestMain(m *testing.M) { stack.Main(m) }

// page is a tab of a headless browser that notes what goes wrong and where it
// goes.
type page struct {
	ctx context.Context

	mu       sync.Mutex
	troubles []string
	requests []string
}

func open(t *testing.T) *page {
	t.Helper()
	path := chromium(t)
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.WindowSize(1280, 1600),
	)
	ctx, cancel := context.WithTimeout(context.Background(), 3*stack.Timeout)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	p := &page{}
	p.ctx, cancel = chromedp.NewContext(ctx, chromedp.WithListener(func(event any) {
		p.mu.Lock()
		defer p.mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			p.requests = append(p.requests, e.Request.URL)
		case *runtime.EventExceptionThrown:
			p.troubles = append(p.troubles, e.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.ConsoleAPICalledTypeError {
				p.troubles = append(p.troubles, fmt.Sprintf("%+v", e.Args))
			}
		}
	}))
	t.Cleanup(cancel)
	return p
}

// chromium finds the browser that the project's setup installs.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	require.Fail(t, "no Chromium: run `make setup`, or install the package chromium")
	return ""
}

// shoot keeps a screenshot in the directory SCREENSHOTS names, if any.
func (p *page) shoot(t *testing.T, name string) {
	t.Helper()
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600))
}

func TestThePagesShowTheAPIAndFetchNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	p := open(t)
	require.NoError(t, chromedp.Do(p.ctx, chromedp.Navigate(s.HTTPURL+"/"), chromedp.WaitVisible("h1")))
	title, err := chromedp.Run(p.ctx, chromedp.Title())
	require.NoError(t, err)
	require.Contains(t, title, "Buildify")
	p.shoot(t, "landing")

	require.NoError(t, chromedp.Do(p.ctx, chromedp.Navigate(s.HTTPURL+"/docs/api"), chromedp.WaitVisible(".opblock")))
	text, err := chromedp.Run(p.ctx, chromedp.Text("body"))
	require.NoError(t, err)
	require.Contains(t, text, contract.CreateKey.Summary)
	// It draws only what is in view.
	known, err := chromedp.Run(p.ctx, chromedp.Evaluate[string]("JSON.stringify(window.ui.specSelectors.specJson().toJS())"))
	require.NoError(t, err)
	for _, spec := range contract.Operations() {
		if spec.Path != "" {
			require.Contains(t, known, strconv.Quote(spec.Path))
			require.Contains(t, known, strconv.Quote(spec.Summary))
		}
	}
	p.shoot(t, "reference")
	require.NoError(t, chromedp.Do(p.ctx,
		chromedp.Navigate(s.HTTPURL+"/docs/api#/rbac/rbac.check"), chromedp.Reload(), chromedp.WaitVisible(".opblock.is-open .opblock-body")))
	p.shoot(t, "operation")

	p.mu.Lock()
	defer p.mu.Unlock()
	require.Empty(t, p.troubles)
	for _, url := range p.requests {
		require.True(t, strings.HasPrefix(url, s.HTTPURL) || strings.HasPrefix(url, "data:"), url)
	}
}

package chaos

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/sdk"
)

// moduleEnv has the test's program run as a module instead: it names the user
// about whom the module logs, and the module's run.
const moduleEnv = "CHAOS_MODULE"

// runModule logs until it is killed, and prints before and after each call.
func runModule() int {
	user, run, _ := strings.Cut(os.Getenv(moduleEnv), " ")
	client, err := sdk.NewFromEnv(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for n := 0; ; n++ {
		resource := run + "-" + strconv.Itoa(n)
		fmt.Println("sent", resource)
		answer, err := sdk.Call(context.Background(), client.Transport(), contract.LogAudit, &contract.LogAuditRequest{
			UserID: contract.ID(user), Action: chaosAction, ResourceType: "thing", ResourceID: contract.ID(resource),
		})
		if err == nil {
			fmt.Println("acked", resource, answer.ID)
		}
	}
}

// killModules runs the module as a process of its own, again and again, and
// kills it in the midst of a call. What it had read of answers counts.
func killModules(t *testing.T, v *visitor) {
	for run := range v.kills(16) {
		env, url := sdk.EnvNATSURL, v.world.NATSURL
		if run%2 == 1 {
			env, url = sdk.EnvAPIURL, v.world.HTTPURL
		}
		name := fmt.Sprint("module", run)
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), moduleEnv+"="+v.load.company.Reader.ID+" "+name, env+"="+url, sdk.EnvAPIKey+"="+v.load.company.APIKey)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		until := 20 + v.draw.IntN(60)
		// One that hangs ends all the same.
		bound := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			v.load.told(lines.Text())
			if n == until {
				_ = cmd.Process.Kill() // what it has printed meanwhile is read still
				v.killed++
			}
		}
		bound.Stop()
		_ = cmd.Wait() // it was killed
	}
}

// told takes a line of a module's process.
func (l *load) told(text string) {
	words := strings.Fields(text)
	switch {
	case len(words) == 2 && words[0] == "sent":
		writer, n := parts(words[1])
		l.note(l.logs, words[1], attempt{writer: writer, n: n})
	case len(words) == 3 && words[0] == "acked":
		writer, n := parts(words[1])
		l.note(l.logs, words[1], attempt{writer: writer, n: n, acked: true, id: words[2]})
		l.acked.Add(1)
	}
}

// parts takes a resource's id apart.
func parts(resource string) (writer string, n int) {
	writer, number, _ := strings.Cut(resource, "-")
	n, _ = strconv.Atoi(number)
	return writer, n
}

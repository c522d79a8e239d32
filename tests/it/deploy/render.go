// Renders a Helm chart far enough for larder's own: text/template with the functions that its templates use, with the
// meaning that they have in Helm. Usage: render CHART VALUES.json RELEASE; the values are JSON.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

func main() {
	// The interpreter has arguments of its own before these.
	arguments := os.Args[len(os.Args)-3:]
	if err := render(arguments[0], arguments[1], arguments[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func render(chart, values, release string) error {
	text, err := os.ReadFile(values)
	if err != nil {
		return err
	}
	var data map[string]interface{}
	if err := json.Unmarshal(text, &data); err != nil {
		return err
	}
	data["Release"] = map[string]interface{}{"Name": release, "Service": "Helm"}
	all := template.New("chart").Option("missingkey=error")
	all.Funcs(template.FuncMap{
		"include": func(name string, data interface{}) (string, error) {
			var out bytes.Buffer
			err := all.ExecuteTemplate(&out, name, data)
			return out.String(), err
		},
		"nindent": func(spaces int, text string) string {
			pad := "\n" + strings.Repeat(" ", spaces)
			return pad + strings.ReplaceAll(text, "\n", pad)
		},
		// JSON is YAML.
		"toYaml": func(value interface{}) (string, error) {
			text, err := json.Marshal(value)
			return string(text), err
		},
		"quote":     func(value interface{}) string { return fmt.Sprintf("%q", fmt.Sprint(value)) },
		"sha256sum": func(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) },
		"default": func(usual, value string) string {
			if value == "" {
				return usual
			}
			return value
		},
		"fail": func(message string) (string, error) { return "", errors.New(message) },
	})
	files, err := filepath.Glob(filepath.Join(chart, "templates", "*"))
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if _, err := all.New(filepath.Base(file)).Parse(string(text)); err != nil {
			return err
		}
	}
	for _, file := range files {
		if strings.HasSuffix(file, ".yaml") {
			fmt.Println("---")
			if err := all.ExecuteTemplate(os.Stdout, filepath.Base(file), data); err != nil {
				return err
			}
			fmt.Println()
		}
	}
	return nil
}

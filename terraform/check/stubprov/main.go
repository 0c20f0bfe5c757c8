// Command stubprov is a provider that has schemas and no cloud. It serves the document of
// `terraform providers schema -json` that lies beside its binary as <binary>.schema.json, so that
// terraform itself validates, plans and tests against the schemas of the real provider.
//
// What a data source would have looked up stands in the same document, under x_values: "type.attribute" to
// value. What is not there is made up.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"math/big"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

type attr struct {
	Type     json.RawMessage `json:"type"`
	Nested   *nestedType     `json:"nested_type"`
	Required bool            `json:"required"`
	Optional bool            `json:"optional"`
	Computed bool            `json:"computed"`
}
type nestedType struct {
	Attributes map[string]*attr `json:"attributes"`
	Mode       string           `json:"nesting_mode"`
}
type nblock struct {
	Mode  string `json:"nesting_mode"`
	Block *block `json:"block"`
	Min   int64  `json:"min_items"`
	Max   int64  `json:"max_items"`
}
type block struct {
	Attributes map[string]*attr   `json:"attributes"`
	Blocks     map[string]*nblock `json:"block_types"`
}
type sch struct {
	Version int64  `json:"version"`
	Block   *block `json:"block"`
}
type provSchema struct {
	Provider    *sch            `json:"provider"`
	Resources   map[string]*sch `json:"resource_schemas"`
	DataSources map[string]*sch `json:"data_source_schemas"`
}

func (a *attr) tf(nested bool) tftypes.Type {
	if a.Nested != nil {
		return wrap(a.Nested.Mode, attrsType(a.Nested.Attributes, nil))
	}
	raw := string(a.Type)
	if nested { // dynamic may not sit inside nested blocks
		raw = strings.ReplaceAll(raw, `"dynamic"`, `"string"`)
	}
	t, err := tftypes.ParseJSONType([]byte(raw))
	if err != nil {
		panic(fmt.Sprintf("type %s: %v", raw, err))
	}
	return t
}
func wrap(mode string, o tftypes.Type) tftypes.Type {
	switch mode {
	case "list":
		return tftypes.List{ElementType: o}
	case "set":
		return tftypes.Set{ElementType: o}
	case "map":
		return tftypes.Map{ElementType: o}
	}
	return o
}
func attrsType(as map[string]*attr, bs map[string]*nblock) tftypes.Object {
	m := map[string]tftypes.Type{}
	for n, a := range as {
		m[n] = a.tf(true)
	}
	for n, b := range bs {
		m[n] = wrap(b.Mode, attrsType(b.Block.Attributes, b.Block.Blocks))
	}
	return tftypes.Object{AttributeTypes: m}
}
func (b *block) tf() tftypes.Object { return attrsType(b.Attributes, b.Blocks) }

func (b *block) proto() *tfprotov6.SchemaBlock {
	out := &tfprotov6.SchemaBlock{Attributes: protoAttrs(b.Attributes)}
	modes := map[string]tfprotov6.SchemaNestedBlockNestingMode{"single": 1, "list": 2, "set": 3, "map": 4, "group": 5}
	for n, nb := range b.Blocks {
		out.BlockTypes = append(out.BlockTypes, &tfprotov6.SchemaNestedBlock{TypeName: n, Block: nb.Block.proto(), Nesting: modes[nb.Mode], MinItems: nb.Min, MaxItems: nb.Max})
	}
	return out
}
func protoAttrs(as map[string]*attr) (out []*tfprotov6.SchemaAttribute) {
	modes := map[string]tfprotov6.SchemaObjectNestingMode{"single": 1, "list": 2, "set": 3, "map": 4}
	for n, a := range as {
		p := &tfprotov6.SchemaAttribute{Name: n, Required: a.Required, Optional: a.Optional, Computed: a.Computed}
		if a.Nested != nil {
			p.NestedType = &tfprotov6.SchemaObject{Attributes: protoAttrs(a.Nested.Attributes), Nesting: modes[a.Nested.Mode]}
		} else {
			p.Type = a.tf(true)
		}
		out = append(out, p)
	}
	return out
}

// fill walks a value; f decides what a null computed (or unknown) leaf becomes.
func (b *block) fill(v tftypes.Value, f func(path string, a *attr, v tftypes.Value) tftypes.Value, path string) tftypes.Value {
	if v.IsNull() || !v.IsKnown() {
		return v
	}
	m := map[string]tftypes.Value{}
	if err := v.As(&m); err != nil {
		panic(err)
	}
	for n, a := range b.Attributes {
		m[n] = f(path+n, a, m[n])
	}
	for n, nb := range b.Blocks {
		bv := m[n]
		if bv.IsNull() || !bv.IsKnown() {
			continue
		}
		switch nb.Mode {
		case "list", "set":
			var l []tftypes.Value
			_ = bv.As(&l)
			for i := range l {
				l[i] = nb.Block.fill(l[i], f, path+n+".")
			}
			m[n] = tftypes.NewValue(bv.Type(), l)
		case "single", "group":
			m[n] = nb.Block.fill(bv, f, path+n+".")
		}
	}
	return tftypes.NewValue(v.Type(), m)
}

// values are what data sources answer, by "type.attribute".
var values map[string]string

func fake(name string, t tftypes.Type) tftypes.Value {
	switch {
	case t.Is(tftypes.String):
		if value, known := values[name]; known {
			return tftypes.NewValue(t, value)
		}
		leaf := name[strings.LastIndex(name, ".")+1:]
		if strings.HasSuffix(leaf, "arn") {
			return tftypes.NewValue(t, "arn:aws:stub:us-east-1:123456789012:"+name)
		}
		return tftypes.NewValue(t, "stub-"+strings.ReplaceAll(name, ".", "-"))
	case t.Is(tftypes.Number):
		return tftypes.NewValue(t, big.NewFloat(1))
	case t.Is(tftypes.Bool):
		return tftypes.NewValue(t, false)
	case t.Is(tftypes.DynamicPseudoType):
		return tftypes.NewValue(tftypes.String, "stub")
	}
	switch tt := t.(type) {
	case tftypes.List:
		// Whoever asks for objects takes the first of them.
		if tt.ElementType.Is(tftypes.Object{}) {
			return tftypes.NewValue(t, []tftypes.Value{fake(name, tt.ElementType)})
		}
		return tftypes.NewValue(t, []tftypes.Value{})
	case tftypes.Set:
		return tftypes.NewValue(t, []tftypes.Value{})
	case tftypes.Map:
		return tftypes.NewValue(t, map[string]tftypes.Value{})
	case tftypes.Object:
		m := map[string]tftypes.Value{}
		for k, e := range tt.AttributeTypes {
			m[k] = fake(name+"."+k, e)
		}
		return tftypes.NewValue(t, m)
	}
	return tftypes.NewValue(t, nil)
}

type server struct{ s provSchema }

func diag(err error) []*tfprotov6.Diagnostic {
	return []*tfprotov6.Diagnostic{{Severity: tfprotov6.DiagnosticSeverityError, Summary: "stubprov", Detail: err.Error()}}
}
func dyn(t tftypes.Type, v tftypes.Value) *tfprotov6.DynamicValue {
	d, err := tfprotov6.NewDynamicValue(t, v)
	if err != nil {
		panic(err)
	}
	return &d
}

func (p *server) GetMetadata(context.Context, *tfprotov6.GetMetadataRequest) (*tfprotov6.GetMetadataResponse, error) {
	r := &tfprotov6.GetMetadataResponse{ServerCapabilities: &tfprotov6.ServerCapabilities{GetProviderSchemaOptional: true}}
	for n := range p.s.Resources {
		r.Resources = append(r.Resources, tfprotov6.ResourceMetadata{TypeName: n})
	}
	for n := range p.s.DataSources {
		r.DataSources = append(r.DataSources, tfprotov6.DataSourceMetadata{TypeName: n})
	}
	return r, nil
}
func (p *server) GetProviderSchema(context.Context, *tfprotov6.GetProviderSchemaRequest) (*tfprotov6.GetProviderSchemaResponse, error) {
	r := &tfprotov6.GetProviderSchemaResponse{
		ServerCapabilities: &tfprotov6.ServerCapabilities{GetProviderSchemaOptional: true},
		Provider:           &tfprotov6.Schema{Block: p.s.Provider.Block.proto()},
		ResourceSchemas:    map[string]*tfprotov6.Schema{}, DataSourceSchemas: map[string]*tfprotov6.Schema{},
		Functions: map[string]*tfprotov6.Function{}, EphemeralResourceSchemas: map[string]*tfprotov6.Schema{},
	}
	for n, s := range p.s.Resources {
		r.ResourceSchemas[n] = &tfprotov6.Schema{Version: s.Version, Block: s.Block.proto()}
	}
	for n, s := range p.s.DataSources {
		r.DataSourceSchemas[n] = &tfprotov6.Schema{Version: s.Version, Block: s.Block.proto()}
	}
	return r, nil
}
func (p *server) GetResourceIdentitySchemas(context.Context, *tfprotov6.GetResourceIdentitySchemasRequest) (*tfprotov6.GetResourceIdentitySchemasResponse, error) {
	return &tfprotov6.GetResourceIdentitySchemasResponse{}, nil
}
func (p *server) ValidateProviderConfig(_ context.Context, q *tfprotov6.ValidateProviderConfigRequest) (*tfprotov6.ValidateProviderConfigResponse, error) {
	return &tfprotov6.ValidateProviderConfigResponse{PreparedConfig: q.Config}, nil
}
func (p *server) ConfigureProvider(context.Context, *tfprotov6.ConfigureProviderRequest) (*tfprotov6.ConfigureProviderResponse, error) {
	return &tfprotov6.ConfigureProviderResponse{}, nil
}
func (p *server) StopProvider(context.Context, *tfprotov6.StopProviderRequest) (*tfprotov6.StopProviderResponse, error) {
	return &tfprotov6.StopProviderResponse{}, nil
}

// core already checks names, types, required attributes and block counts; what a real
// provider adds for every resource is "Value for unconfigurable attribute".
func (p *server) ValidateResourceConfig(_ context.Context, q *tfprotov6.ValidateResourceConfigRequest) (*tfprotov6.ValidateResourceConfigResponse, error) {
	r := &tfprotov6.ValidateResourceConfigResponse{}
	b := p.s.Resources[q.TypeName].Block
	v, err := q.Config.Unmarshal(b.tf())
	if err != nil {
		r.Diagnostics = diag(err)
		return r, nil
	}
	b.fill(v, func(n string, a *attr, x tftypes.Value) tftypes.Value {
		if a.Computed && !a.Optional && !a.Required && !(x.IsKnown() && x.IsNull()) {
			r.Diagnostics = append(r.Diagnostics, diag(fmt.Errorf("%s: %q is decided by the provider and cannot be set", q.TypeName, n))...)
		}
		if a.Required && x.IsKnown() && x.IsNull() {
			r.Diagnostics = append(r.Diagnostics, diag(fmt.Errorf("%s: %q is required", q.TypeName, n))...)
		}
		return x
	}, "")
	return r, nil
}
func (p *server) UpgradeResourceState(_ context.Context, q *tfprotov6.UpgradeResourceStateRequest) (*tfprotov6.UpgradeResourceStateResponse, error) {
	t := p.s.Resources[q.TypeName].Block.tf()
	v, err := q.RawState.UnmarshalWithOpts(t, tfprotov6.UnmarshalOpts{ValueFromJSONOpts: tftypes.ValueFromJSONOpts{IgnoreUndefinedAttributes: true}})
	if err != nil {
		return &tfprotov6.UpgradeResourceStateResponse{Diagnostics: diag(err)}, nil
	}
	return &tfprotov6.UpgradeResourceStateResponse{UpgradedState: dyn(t, v)}, nil
}
func (p *server) ReadResource(_ context.Context, q *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
	return &tfprotov6.ReadResourceResponse{NewState: q.CurrentState}, nil
}
func (p *server) PlanResourceChange(_ context.Context, q *tfprotov6.PlanResourceChangeRequest) (*tfprotov6.PlanResourceChangeResponse, error) {
	b := p.s.Resources[q.TypeName].Block
	t := b.tf()
	v, err := q.ProposedNewState.Unmarshal(t)
	if err != nil {
		return &tfprotov6.PlanResourceChangeResponse{Diagnostics: diag(err)}, nil
	}
	v = b.fill(v, func(_ string, a *attr, x tftypes.Value) tftypes.Value {
		if a.Computed && x.IsKnown() && x.IsNull() {
			return tftypes.NewValue(x.Type(), tftypes.UnknownValue)
		}
		return x
	}, "")
	return &tfprotov6.PlanResourceChangeResponse{PlannedState: dyn(t, v)}, nil
}
func (p *server) ApplyResourceChange(_ context.Context, q *tfprotov6.ApplyResourceChangeRequest) (*tfprotov6.ApplyResourceChangeResponse, error) {
	b := p.s.Resources[q.TypeName].Block
	t := b.tf()
	v, err := q.PlannedState.Unmarshal(t)
	if err != nil {
		return &tfprotov6.ApplyResourceChangeResponse{Diagnostics: diag(err)}, nil
	}
	v = b.fill(v, func(n string, a *attr, x tftypes.Value) tftypes.Value {
		if !x.IsKnown() {
			return fake(q.TypeName+"."+n, x.Type())
		}
		return x
	}, "")
	return &tfprotov6.ApplyResourceChangeResponse{NewState: dyn(t, v)}, nil
}
func (p *server) ImportResourceState(context.Context, *tfprotov6.ImportResourceStateRequest) (*tfprotov6.ImportResourceStateResponse, error) {
	return &tfprotov6.ImportResourceStateResponse{Diagnostics: diag(fmt.Errorf("import is not supported"))}, nil
}
func (p *server) MoveResourceState(context.Context, *tfprotov6.MoveResourceStateRequest) (*tfprotov6.MoveResourceStateResponse, error) {
	return &tfprotov6.MoveResourceStateResponse{Diagnostics: diag(fmt.Errorf("move is not supported"))}, nil
}
func (p *server) UpgradeResourceIdentity(context.Context, *tfprotov6.UpgradeResourceIdentityRequest) (*tfprotov6.UpgradeResourceIdentityResponse, error) {
	return &tfprotov6.UpgradeResourceIdentityResponse{}, nil
}
func (p *server) GenerateResourceConfig(context.Context, *tfprotov6.GenerateResourceConfigRequest) (*tfprotov6.GenerateResourceConfigResponse, error) {
	return &tfprotov6.GenerateResourceConfigResponse{}, nil
}
func (p *server) ValidateDataResourceConfig(context.Context, *tfprotov6.ValidateDataResourceConfigRequest) (*tfprotov6.ValidateDataResourceConfigResponse, error) {
	return &tfprotov6.ValidateDataResourceConfigResponse{}, nil
}
func (p *server) ReadDataSource(_ context.Context, q *tfprotov6.ReadDataSourceRequest) (*tfprotov6.ReadDataSourceResponse, error) {
	b := p.s.DataSources[q.TypeName].Block
	t := b.tf()
	v, err := q.Config.Unmarshal(t)
	if err != nil {
		return &tfprotov6.ReadDataSourceResponse{Diagnostics: diag(err)}, nil
	}
	v = b.fill(v, func(n string, a *attr, x tftypes.Value) tftypes.Value {
		if a.Computed && x.IsNull() {
			return fake(q.TypeName+"."+n, x.Type())
		}
		return x
	}, "")
	return &tfprotov6.ReadDataSourceResponse{State: dyn(t, v)}, nil
}
func (p *server) CallFunction(context.Context, *tfprotov6.CallFunctionRequest) (*tfprotov6.CallFunctionResponse, error) {
	return nil, fmt.Errorf("no functions")
}
func (p *server) GetFunctions(context.Context, *tfprotov6.GetFunctionsRequest) (*tfprotov6.GetFunctionsResponse, error) {
	return &tfprotov6.GetFunctionsResponse{}, nil
}
func (p *server) ValidateEphemeralResourceConfig(context.Context, *tfprotov6.ValidateEphemeralResourceConfigRequest) (*tfprotov6.ValidateEphemeralResourceConfigResponse, error) {
	return &tfprotov6.ValidateEphemeralResourceConfigResponse{}, nil
}
func (p *server) OpenEphemeralResource(context.Context, *tfprotov6.OpenEphemeralResourceRequest) (*tfprotov6.OpenEphemeralResourceResponse, error) {
	return nil, fmt.Errorf("no ephemeral resources")
}
func (p *server) RenewEphemeralResource(context.Context, *tfprotov6.RenewEphemeralResourceRequest) (*tfprotov6.RenewEphemeralResourceResponse, error) {
	return nil, fmt.Errorf("no ephemeral resources")
}
func (p *server) CloseEphemeralResource(context.Context, *tfprotov6.CloseEphemeralResourceRequest) (*tfprotov6.CloseEphemeralResourceResponse, error) {
	return nil, fmt.Errorf("no ephemeral resources")
}

func main() {
	exe, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	raw, err := os.ReadFile(exe + ".schema.json")
	if err != nil {
		log.Fatal(err)
	}
	var doc struct {
		P      map[string]provSchema `json:"provider_schemas"`
		Values map[string]string     `json:"x_values"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		log.Fatal(filepath.Base(exe), err)
	}
	values = doc.Values
	for addr, ps := range doc.P {
		if err := tf6server.Serve(addr, func() tfprotov6.ProviderServer { return &server{ps} }); err != nil {
			log.Fatal(err)
		}
		return
	}
}

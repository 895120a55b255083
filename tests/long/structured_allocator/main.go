// SPDX-License-Identifier: Apache-2.0

// Command structured_allocator answers conformance questions with the allocator of
// k8s.io/dynamic-resource-allocation: one question on its input, one answer on its output.
//
// docs/conformance.md says what both look like. What the API server does beforehand is done
// here: defaults, older versions of the API, taints of DeviceTaintRules. Objects are not
// validated.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	core "k8s.io/api/core/v1"
	api "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/dynamic-resource-allocation/cel"
	"k8s.io/dynamic-resource-allocation/structured"
)

const timeout = 15 * time.Second

type object = map[string]any

type question struct {
	Features []string
	Node     string
	Objects  []object
	Claims   []object
}

type taintRule struct {
	Spec struct {
		DeviceSelector *struct{ Driver, Pool, Device *string }
		Taint          api.DeviceTaint
	}
}

type classes map[string]*api.DeviceClass

func (c classes) List() ([]*api.DeviceClass, error) {
	return slices.Collect(maps.Values(c)), nil
}

func (c classes) Get(name string) (*api.DeviceClass, error) {
	if found, ok := c[name]; ok {
		return found, nil
	}
	return nil, fmt.Errorf("class %s: not found", name)
}

func main() {
	var asked question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	answer, err := allocate(asked)
	if err != nil {
		answer = object{"error": err.Error()}
	}
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		os.Exit(1)
	}
}

func allocate(asked question) (object, error) {
	on := sets.New(asked.Features...)
	features := structured.Features{
		AdminAccess:             true,
		PrioritizedList:         true,
		DeviceTaints:            on.Has("taints"),
		PartitionableDevices:    on.Has("counters"),
		ConsumableCapacity:      on.Has("consumable_capacity"),
		FractionalCapacityRange: on.Has("consumable_capacity"),
		DeviceBindingAndStatus:  on.Has("binding_conditions"),
		ListTypeAttributes:      on.Has("lists"),
		CompatibilityGroups:     on.Has("compatibility_groups"),
	}
	node := &core.Node{}
	node.Name = asked.Node
	known := classes{}
	var published []*api.ResourceSlice
	var rules []taintRule
	state := structured.AllocatedState{
		AllocatedDevices:         sets.New[structured.DeviceID](),
		AllocatedSharedDeviceIDs: sets.New[structured.SharedDeviceID](),
		AggregatedCapacity:       structured.NewConsumedCapacityCollection(),
	}
	for _, item := range asked.Objects {
		var err error
		switch item["kind"] {
		case "Node":
			var found core.Node
			err = read(item, &found)
			if found.Name == asked.Node {
				node = &found
			}
		case "DeviceClass":
			var found api.DeviceClass
			err = read(item, &found)
			known[found.Name] = &found
		case "ResourceSlice":
			var found api.ResourceSlice
			err = read(upgradedSlice(item), &found)
			published = append(published, &found)
		case "DeviceTaintRule":
			var found taintRule
			err = read(item, &found)
			rules = append(rules, found)
		case "ResourceClaim":
			var found api.ResourceClaim
			err = read(upgradedClaim(item), &found)
			take(&state, &found, features.ConsumableCapacity)
		}
		if err != nil {
			return nil, err
		}
	}
	taint(published, rules)
	var claims []*api.ResourceClaim
	for _, item := range asked.Claims {
		var found api.ResourceClaim
		if err := read(upgradedClaim(item), &found); err != nil {
			return nil, err
		}
		setDefaults(&found)
		claims = append(claims, &found)
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	cache := cel.NewCache(100, cel.Features{
		EnableConsumableCapacity: features.ConsumableCapacity,
		EnableListTypeAttributes: features.ListTypeAttributes,
	})
	allocator, err := structured.NewAllocator(ctx, features, state, known, published, cache)
	if err != nil {
		return nil, err
	}
	found, err := allocator.Allocate(ctx, node, claims)
	switch {
	case ctx.Err() != nil:
		return object{"undecided": timeout.String()}, nil
	case err != nil:
		return nil, err
	case found == nil:
		return object{"infeasible": true}, nil
	}
	return object{"allocations": found}, nil
}

func read(item object, into any) error {
	written, err := json.Marshal(item)
	if err != nil {
		return err
	}
	return json.Unmarshal(written, into)
}

// take records what an allocated claim holds, as the scheduler does.
func take(state *structured.AllocatedState, claim *api.ResourceClaim, isShared bool) {
	if claim.Status.Allocation == nil {
		return
	}
	for _, result := range claim.Status.Allocation.Devices.Results {
		if result.AdminAccess != nil && *result.AdminAccess {
			continue
		}
		id := structured.MakeDeviceID(result.Driver, result.Pool, result.Device)
		if !isShared || result.ShareID == nil {
			state.AllocatedDevices.Insert(id)
			continue
		}
		state.AllocatedSharedDeviceIDs.Insert(structured.MakeSharedDeviceID(id, result.ShareID))
		state.AggregatedCapacity.Insert(
			structured.NewDeviceConsumedCapacity(id, result.ConsumedCapacity))
	}
}

// taint adds the taints of rules to devices, as the tracker of slices does.
func taint(published []*api.ResourceSlice, rules []taintRule) {
	isFor := func(wanted *string, own string) bool { return wanted == nil || *wanted == own }
	for _, slice := range published {
		for i := range slice.Spec.Devices {
			device := &slice.Spec.Devices[i]
			for _, rule := range rules {
				selector := rule.Spec.DeviceSelector
				if selector != nil && isFor(selector.Driver, slice.Spec.Driver) &&
					isFor(selector.Pool, slice.Spec.Pool.Name) &&
					isFor(selector.Device, device.Name) {
					device.Taints = append(device.Taints, rule.Spec.Taint)
				}
			}
		}
	}
}

func setDefaults(claim *api.ResourceClaim) {
	set := func(mode *api.DeviceAllocationMode, count *int64, tolerations []api.DeviceToleration) {
		if *mode == "" {
			*mode = api.DeviceAllocationModeExactCount
		}
		if *mode == api.DeviceAllocationModeExactCount && *count == 0 {
			*count = 1
		}
		for i := range tolerations {
			if tolerations[i].Operator == "" {
				tolerations[i].Operator = api.DeviceTolerationOpEqual
			}
		}
	}
	for i := range claim.Spec.Devices.Requests {
		request := &claim.Spec.Devices.Requests[i]
		if exactly := request.Exactly; exactly != nil {
			set(&exactly.AllocationMode, &exactly.Count, exactly.Tolerations)
		}
		for j := range request.FirstAvailable {
			entry := &request.FirstAvailable[j]
			set(&entry.AllocationMode, &entry.Count, entry.Tolerations)
		}
	}
}

// upgradedSlice writes a slice of v1beta1 as v1 has it.
func upgradedSlice(item object) object {
	if item["apiVersion"] != "resource.k8s.io/v1beta1" {
		return item
	}
	spec := item["spec"].(object)
	if spec["nodeName"] == "" {
		delete(spec, "nodeName")
	}
	if spec["allNodes"] == false {
		delete(spec, "allNodes")
	}
	devices, _ := spec["devices"].([]any)
	for _, each := range devices {
		device := each.(object)
		maps.Copy(device, device["basic"].(object))
		delete(device, "basic")
	}
	return item
}

// upgradedClaim writes a claim of v1beta1 as v1 has it.
func upgradedClaim(item object) object {
	if item["apiVersion"] != "resource.k8s.io/v1beta1" {
		return item
	}
	devices := item["spec"].(object)["devices"].(object)
	for _, each := range devices["requests"].([]any) {
		request := each.(object)
		if _, ok := request["firstAvailable"]; ok {
			continue
		}
		exactly := maps.Clone(request)
		delete(exactly, "name")
		maps.DeleteFunc(request, func(key string, _ any) bool { return key != "name" })
		request["exactly"] = exactly
	}
	return item
}

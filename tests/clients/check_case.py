"""Holds exported cases against the field's own programs: stix2-validator, PyMISP, and a schema of RFC 7970 by xmlschema.

Call: check_case.py stix|misp|iodef FILE…   Ends with 1 and says why where a file does not hold.
"""
import csv
import json
import sys


def stix(path):
    from stix2validator import ValidationOptions, validate_file
    results = validate_file(path, ValidationOptions(version="2.1"))
    problems = [str(error) for result in results.object_results for error in result.errors]
    if results.fatal:
        problems.append(str(results.fatal))
    # What the standard only advises is said too, but decides nothing here.
    for result in results.object_results:
        for warning in result.warnings:
            print(f"{path}: advised: {warning}")
    return problems if problems or results.is_valid else ["not valid, without a reason"]


def misp(path):
    from pymisp import MISPEvent, MISPObject
    event = MISPEvent(strict_validation=False)
    event.load_file(path)
    again = json.loads(event.to_json())
    problems = []
    whole = json.load(open(path, encoding="utf-8"))["Event"]
    mappings = event.describe_types["category_type_mappings"]
    for attribute in whole["Attribute"]:
        if attribute["type"] not in mappings.get(attribute["category"], []):
            problems.append(f"{attribute['type']} is none of {attribute['category']}")
    if len(event.attributes) != len(whole["Attribute"]) or len(event.objects) != len(whole["Object"]):
        problems.append("PyMISP reads less than was written")
    for one in whole["Object"]:
        # By MISP's own template, as PyMISP brings it: an attribute that it does not know, or one that it wants, is an error.
        template = MISPObject(one["name"], strict=True)
        template.from_dict(**one)
        known = set(template._definition["attributes"])
        problems += [f"{one['name']} has no {part['object_relation']}" for part in one["Attribute"] if part["object_relation"] not in known]
        values = {part["object_relation"]: part["value"] for part in one["Attribute"]}
        problems += [f"{one['name']} without {needed}" for needed in ("name", "type") if not values.get(needed)]
        if template.template_uuid != one["template_uuid"]:
            problems.append(f"not the template of {one['name']}")
    if again["uuid"] != whole["uuid"] or not event.tags:
        problems.append("identity or tags are lost")
    return problems


def iodef(path):
    import os
    import xmlschema
    schema = xmlschema.XMLSchema(os.path.join(os.path.dirname(os.path.abspath(__file__)), "iodef.xsd"))
    return [error.reason + " at " + str(error.path) for error in schema.iter_errors(path)]


def table(path):
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, strict=True))
    widths = {len(row) for row in rows}
    formulas = [cell for row in rows for cell in row if cell.lstrip()[:1] in ("=", "+", "-", "@")]
    return [f"rows of {widths}"] * (len(widths) != 1) + [f"formula: {cell!r}" for cell in formulas]


check = {"stix": stix, "misp": misp, "iodef": iodef, "csv": table}[sys.argv[1]]
failed = False
for name in sys.argv[2:]:
    for problem in check(name):
        failed = True
        print(f"{name}: {problem}")
sys.exit(1 if failed else 0)

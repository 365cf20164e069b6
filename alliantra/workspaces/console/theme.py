"""The one module that imports django-unfold; type checkers see Django's own typed classes in its place."""

from typing import TYPE_CHECKING, Generic, TypeVar

from django.db.models import Model

RowT = TypeVar("RowT", bound=Model)

if TYPE_CHECKING:
    from django import forms
    from django.contrib.admin import AdminSite, ChoicesFieldListFilter, ModelAdmin
    from django.contrib.admin.forms import AdminAuthenticationForm

    class ThemedAdmin(ModelAdmin[RowT]):
        """Lists and forms of one model."""

    ThemedSite = AdminSite
    ThemedSignInForm = AdminAuthenticationForm
    AutocompleteForm = forms.Form
    ChoicesFilter = ChoicesFieldListFilter
    Checkboxes = forms.CheckboxSelectMultiple
    Dropdown = forms.Select
    EmailInput = forms.EmailInput
    FileInput = forms.FileInput
    NumberInput = forms.NumberInput
    PasswordInput = forms.PasswordInput
    Switch = forms.CheckboxInput
    TextArea = forms.Textarea
    TextInput = forms.TextInput
else:
    from unfold.admin import ModelAdmin
    from unfold.contrib.filters.admin import ChoicesDropdownFilter as ChoicesFilter
    from unfold.contrib.filters.forms import AutocompleteDropdownForm as AutocompleteForm
    from unfold.forms import AuthenticationForm as ThemedSignInForm
    from unfold.sites import UnfoldAdminSite as ThemedSite
    from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget as Checkboxes
    from unfold.widgets import UnfoldAdminDecimalFieldWidget as NumberInput
    from unfold.widgets import UnfoldAdminEmailInputWidget as EmailInput
    from unfold.widgets import UnfoldAdminFileFieldWidget as FileInput
    from unfold.widgets import UnfoldAdminPasswordWidget as PasswordInput
    from unfold.widgets import UnfoldAdminSelectWidget as Dropdown
    from unfold.widgets import UnfoldAdminTextareaWidget as TextArea
    from unfold.widgets import UnfoldAdminTextInputWidget as TextInput
    from unfold.widgets import UnfoldBooleanSwitchWidget as Switch

    class ThemedAdmin(ModelAdmin, Generic[RowT]):
        """Lists and forms of one model."""


__all__ = [
    "AutocompleteForm",
    "Checkboxes",
    "ChoicesFilter",
    "Dropdown",
    "EmailInput",
    "FileInput",
    "NumberInput",
    "PasswordInput",
    "RowT",
    "Switch",
    "TextArea",
    "TextInput",
    "ThemedAdmin",
    "ThemedSignInForm",
    "ThemedSite",
]
